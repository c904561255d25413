package ipvsadm

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// failure is a failed command, with ipvsadm's text and exit status.
type failure struct {
	status int
	text   string
	ends   bool // -R stops reading
	stdout bool // the text is the requested output
}

// The exit statuses.
const (
	statusOK      = 0
	statusMissing = 1   // a service to list does not exist
	statusUsage   = 2   // an option is wrong
	statusRefused = 255 // the kernel refused, or an option is unknown
)

// fail returns the failure for a wrong option.
func fail(format string, args ...any) *failure {
	return &failure{status: statusUsage, text: fmt.Sprintf(format, args...), ends: true}
}

// refused returns the failure for a request refused by the kernel.
func refused(text string) *failure { return &failure{status: statusRefused, text: text} }

// tryHelp returns the failure for a command line without a command.
func tryHelp(program string) *failure {
	text := fmt.Sprintf("Try `%[1]s -h' or '%[1]s --help' for more information.", program)
	return &failure{status: statusRefused, text: text, ends: true}
}

// texts are ipvsadm's messages for the errors of a command.
type texts map[syscall.Errno]string

var (
	serviceExists = texts{
		syscall.EEXIST: "Service already exists",
		syscall.ENOENT: "Scheduler or persistence engine not found",
	}
	noService = texts{
		syscall.ESRCH:  "No such service",
		syscall.ENOENT: "Scheduler or persistence engine not found",
	}
	serverTexts = texts{
		syscall.ESRCH:  "Service not defined",
		syscall.EEXIST: "Destination already exists",
		syscall.ENOENT: "No such destination",
	}
	startTexts = texts{syscall.EEXIST: "Daemon has already run"}
	stopTexts  = texts{syscall.ESRCH: "No daemon is running"}
)

var stepTexts = map[ipvs.Action]texts{
	ipvs.AddService: serviceExists, ipvs.EditService: noService, ipvs.DeleteService: noService,
	ipvs.AddDestination: serverTexts, ipvs.EditDestination: serverTexts, ipvs.DeleteDestination: serverTexts,
}

// commonTexts are the messages that apply to every command.
var commonTexts = texts{
	syscall.EPERM:       "Permission denied (you must be root)",
	syscall.EINVAL:      "Invalid operation.  Possibly wrong module version, address not unicast, ...",
	syscall.ENOPROTOOPT: "Protocol not available",
	syscall.ENOMEM:      "Memory allocation problem",
}

// explain returns ipvsadm's message for an error of the kernel.
func (t texts) explain(err error) string {
	if errors.Is(err, ipvs.ErrNoIPVS) {
		return commonTexts[syscall.ENOPROTOOPT]
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return err.Error()
	}
	if text, ok := t[errno]; ok {
		return text
	}
	if text, ok := commonTexts[errno]; ok {
		return text
	}
	text := errno.Error() // as strerror(3), which begins with a capital letter
	return strings.ToUpper(text[:1]) + text[1:]
}
