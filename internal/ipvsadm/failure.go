package ipvsadm

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// failure is a command that did not work, with ipvsadm's text and exit status.
type failure struct {
	status int
	text   string
	ends   bool // -R reads no further
	stdout bool // the text is what was asked for
}

// The exit statuses.
const (
	statusOK      = 0
	statusMissing = 1   // a service to list does not exist
	statusUsage   = 2   // an option is wrong
	statusRefused = 255 // the kernel refused, or an option is unknown
)

// fail is a wrong option.
func fail(format string, args ...any) *failure {
	return &failure{status: statusUsage, text: fmt.Sprintf(format, args...), ends: true}
}

// refused is what the kernel refused.
func refused(text string) *failure { return &failure{status: statusRefused, text: text} }

// tryHelp is a command line without a command.
func tryHelp(program string) *failure {
	text := fmt.Sprintf("Try `%[1]s -h' or '%[1]s --help' for more information.", program)
	return &failure{status: statusRefused, text: text, ends: true}
}

// texts are ipvsadm's words for what the kernel answers to a command.
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

// commonTexts are those of every command.
var commonTexts = texts{
	syscall.EPERM:       "Permission denied (you must be root)",
	syscall.EINVAL:      "Invalid operation.  Possibly wrong module version, address not unicast, ...",
	syscall.ENOPROTOOPT: "Protocol not available",
	syscall.ENOMEM:      "Memory allocation problem",
}

// explain turns what the kernel answered into ipvsadm's words.
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
	text := errno.Error() // the C library's, but for its capital letter
	return strings.ToUpper(text[:1]) + text[1:]
}
