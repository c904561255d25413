package ipvsadm

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// TestRefusalNamesExistingCommand checks that a refusal names only existing commands.
func TestRefusalNamesExistingCommand(t *testing.T) {
	web := ipvs.ServiceAt(ipvs.TCP, netip.MustParseAddrPort("192.0.2.1:80"))
	s := session{env: Environment{Owner: func(ipvs.ServiceKey) (string, bool) { return `virtual_service "web"`, true }}}
	for _, v := range []verb{addService, editService, deleteService, addServer, editServer, deleteServer} {
		c := &command{verb: v}
		c.service.ServiceKey = web
		refusal := s.permit(c)
		if refusal == nil {
			t.Fatalf("%v of an owned service is not refused", v)
		}
		if names := regexp.MustCompile("`[^']*'").FindAllString(refusal.text, -1); strings.Join(names, " ") != "`lvs-ha reload'" {
			t.Errorf("%v names %v", v, names)
		}
	}
}
