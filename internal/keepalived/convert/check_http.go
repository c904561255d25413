package convert

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// urlLine records the fate of a line of a url block; url writes it.
func (c *converter) urlLine(l *line, url *keepalived.Node) {
	switch l.Keyword {
	case "path", "virtualhost":
		l.find(Same, "")
	case "status_code":
		if statusCodes(l.Args) == nil {
			l.doubt(Ignored, "They are not status codes from 100 to 599.")
		} else {
			l.find(Same, "")
		}
	case "digest":
		if sum, err := hex.DecodeString(l.arg(0)); err != nil || len(sum) != md5.Size {
			l.doubt(Ignored, "%q is not an MD5 sum in hexadecimal.", l.arg(0))
		} else {
			l.find(Same, "")
		}
	case "regex":
		if _, err := regexp.Compile(l.arg(0)); err != nil {
			l.find(Missing, "The regular expression is not one of RE2: %v.", err)
		} else {
			l.find(Same, "")
		}
	case "regex_min_offset", "regex_max_offset":
		if bodyPattern(url) == "" {
			l.find(Ignored, "It has no effect without regex.")
			return
		}
		_, _, f, why := bodyOffsets(url)
		l.find(f, "%s", why)
	case "regex_no_match", "regex_options":
		_, others := regexFlags(l.Args)
		switch {
		case bodyPattern(url) == "":
			l.find(Ignored, "It has no effect without regex.")
		case l.Keyword == "regex_options" && len(others) > 0:
			l.find(Missing, "RE2 has no %s.", strings.Join(others, ", "))
		default:
			l.find(Same, "")
		}
	}
}

// url writes a url block into a check.
func (c *converter) url(b *block, url *keepalived.Node, host string) {
	defer c.flush(b)
	defer c.leftover(url)
	b.notes = joinNotes(b.notes, c.reservedNotes([]*keepalived.Node{url}, "url"))
	path := "/"
	if n := url.Last("path"); n != nil && len(n.Args) > 0 {
		path = n.Args[0]
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	b.set("path", quote(escapePath(path)), c.reservedNotes(url.Children, "path"))
	if hostName.MatchString(host) {
		b.set("host", quote(host), c.reservedNotes(url.Children, "virtualhost"))
	}
	if n := url.Last("status_code"); n != nil {
		if codes := statusCodes(n.Args); codes != nil {
			b.set("status", quoteAll(codes), c.reservedNotes(url.Children, "status_code"))
		}
	}
	if n := url.Last("digest"); n != nil && len(n.Args) > 0 {
		if sum, err := hex.DecodeString(n.Args[0]); err == nil && len(sum) == md5.Size {
			b.set("digest", quote(n.Args[0]), c.reservedNotes(url.Children, "digest"))
		}
	}
	if pattern := bodyPattern(url); pattern != "" {
		b.set("body", quote(pattern), c.reservedNotes(url.Children, "regex", "regex_options", "regex_no_match", "regex_min_offset", "regex_max_offset"))
		if url.Last("regex_no_match") != nil {
			b.set("body_absent", "true", notes{})
		}
		first, last, _, _ := bodyOffsets(url)
		if first > 0 {
			b.set("body_min_offset", strconv.Itoa(first), notes{})
		}
		if last > 0 {
			b.set("body_max_offset", strconv.Itoa(last), notes{})
		}
	}
}

// searched is the part of a page that lvs-ha searches.
const searched = 1 << 20

// bodyOffsets returns where the match of a url block's regex may begin, 0 meaning no limit, and what becomes of the lines that say so.
func bodyOffsets(url *keepalived.Node) (first, last int, f Fate, why string) {
	offset := func(keyword string) (value uint64, set, ok bool) {
		n := url.Last(keyword)
		if n == nil {
			return 0, false, true
		}
		if len(n.Args) != 1 {
			return 0, true, false
		}
		value, err := strconv.ParseUint(n.Args[0], 10, 32)
		return value, true, err == nil
	}
	from, _, ok := offset("regex_min_offset")
	to, limited, okay := offset("regex_max_offset")
	switch {
	case !ok || !okay:
		return 0, 0, Ignored, "An offset is not a number."
	case limited && from > to:
		return 0, 0, Ignored, "regex_min_offset is above regex_max_offset."
	case from >= searched:
		return 0, 0, Missing, "Only the first MiB of a page is searched."
	case limited && to == 0:
		return 0, 0, Missing, `Write \A at the beginning of body.`
	case to >= searched:
		to = 0
	}
	return int(from), int(to), Same, ""
}

// bodyPattern returns the regular expression of a url block with its options, or "" if there is none that can be used.
func bodyPattern(url *keepalived.Node) string {
	n := url.Last("regex")
	if n == nil || len(n.Args) == 0 || n.Args[0] == "" {
		return ""
	}
	if _, err := regexp.Compile(n.Args[0]); err != nil {
		return ""
	}
	if o := url.Last("regex_options"); o != nil {
		if flags, _ := regexFlags(o.Args); flags != "" {
			return "(?" + flags + ")" + n.Args[0]
		}
	}
	return n.Args[0]
}

// regexFlags returns the flags of RE2 for PCRE2's options, and the options that it does not have. Some have no effect on whether an
// expression matches.
func regexFlags(options []string) (flags string, others []string) {
	for _, o := range options {
		switch o {
		case "caseless":
			flags += "i"
		case "multiline":
			flags += "m"
		case "dotall":
			flags += "s"
		case "ungreedy", "dupnames", "no_auto_capture", "no_auto_possessify", "no_dotstar_anchor", "no_start_optimize", "never_backslash_c":
		default:
			others = append(others, o)
		}
	}
	return flags, others
}

// escapePath percent-encodes the characters that cannot be in a request line.
func escapePath(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}#", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
