package effect

import (
	"math"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// offset is what tracks add to the priority of an instance while all of them are good: links are up, scripts succeed, processes run,
// and files have the number 0.
func (k *theirs) offset(n *keepalived.Node) (sum int) {
	group := k.groupOf(n.Args[0])
	weighted := group == nil || group.Last("sync_group_tracking_weight", "global_tracking") != nil
	for _, from := range []*keepalived.Node{n, group} {
		if from == nil {
			continue
		}
		for _, kind := range []string{"track_script", "track_process"} {
			if from == n && !weighted && kind != "track_process" { // keepalived does not look at processes here
				continue
			}
			for _, words := range tracked(from, kind) {
				weight, reverse := k.weight(from, kind, words)
				sum += good(weight, reverse)
			}
		}
	}
	return sum + interfaces(n, group)
}

// tracked returns the words of what an instance or a group tracks.
func tracked(from *keepalived.Node, kind string) (all [][]string) {
	have := map[string]bool{}
	for _, l := range from.All(kind) {
		for _, v := range l.Values {
			if known := len(v.Words) == 1 || len(v.Words) > 2 && v.Words[1] == "weight"; known && !have[v.Words[0]] {
				have[v.Words[0]] = true
				all = append(all, v.Words)
			}
		}
	}
	return all
}

// interfaces returns what good links add. A group's weight replaces that of the instance, unless this tracks the link without one
// (keepalived/vrrp/vrrp.c, add_vrrp_to_interface).
func interfaces(n, group *keepalived.Node) (sum int) {
	weights, added := map[string]int{}, map[string]int{}
	for _, from := range []*keepalived.Node{n, group} {
		if from == nil {
			continue
		}
		for _, words := range tracked(from, "track_interface") {
			name := words[0]
			if weight, is := weights[name]; carries(n, name) || from == group && is && weight == 0 {
				continue
			}
			weight, reverse := 0, false
			if len(words) > 2 {
				weight, reverse = parseWeight(words[2:], 254, 0)
			}
			weights[name] = weight
			added[name] = good(weight, reverse)
		}
	}
	for _, weight := range added {
		sum += weight
	}
	return sum
}

// good returns what something good adds to the priority.
func good(weight int, reverse bool) int {
	switch {
	case weight <= 0:
		return 0
	case reverse:
		return -weight
	}
	return weight
}

func (k *theirs) groupOf(instance string) *keepalived.Node {
	names := map[string]bool{}
	for _, n := range k.config.Nodes {
		if n.Keyword != "vrrp_sync_group" || len(n.Args) != 1 || names[n.Args[0]] {
			continue
		}
		names[n.Args[0]] = true
		if list := n.Last("group"); list != nil {
			for _, v := range list.Values {
				if slices.Contains(v.Words, instance) {
					return n
				}
			}
		}
	}
	return nil
}

// weight returns the weight of a script or process that an instance or its group uses.
func (k *theirs) weight(from *keepalived.Node, kind string, words []string) (weight int, reverse bool) {
	define := k.definition(from, kind, words[0])
	if define == nil {
		return 0, false
	}
	if l := define.Last("weight"); l != nil {
		weight, reverse = parseWeight(l.Args, math.MaxInt32, 0)
	}
	if len(words) > 2 {
		own := false
		weight, own = parseWeight(words[2:], 254, weight)
		reverse = reverse || own
	}
	return weight, reverse
}

// parseWeight parses "N [reverse]". A number that is out of range leaves the weight as it was.
func parseWeight(words []string, most, weight int) (int, bool) {
	if len(words) > 0 {
		if w, _, ok := keepalived.Int(words[0], -most, most); ok {
			weight = min(max(w, -253), 253)
		}
	}
	return weight, len(words) > 1 && words[1] == "reverse"
}

// carries reports whether an instance has addresses on an interface: it is tracked without a weight then.
func carries(n *keepalived.Node, iface string) bool {
	for _, l := range slices.Concat(n.All("virtual_ipaddress"), n.All("virtual_ipaddress_excluded")) {
		for _, v := range l.Values {
			if i := slices.Index(v.Words, "dev"); i > 0 && i+1 < len(v.Words) && v.Words[i+1] == iface && !slices.Contains(v.Words, "no_track") {
				return true
			}
		}
	}
	return false
}

// definition returns the block that defines a track, if keepalived keeps it. It has to stand before what uses it.
func (k *theirs) definition(from *keepalived.Node, kind, name string) *keepalived.Node {
	for _, n := range k.config.Nodes {
		if n == from {
			break
		}
		if n.Keyword != "vrrp_"+kind && n.Keyword != "vrrp_"+strings.TrimPrefix(kind, "track_") || len(n.Args) == 0 || n.Args[0] != name {
			continue
		}
		needs := n.Last(map[string]string{"track_script": "script", "track_process": "process"}[kind])
		if needs == nil || len(needs.Args) == 0 {
			continue
		}
		if script, ok := keepalived.ParseScript(needs.Text); kind != "track_script" || ok && len(script.Command) > 0 {
			return n
		}
	}
	return nil
}
