package pool_test

import (
	"testing"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// TestSequences starts each sequence of events with an empty table; after each event the table must have exactly these
// destinations.
func TestSequences(t *testing.T) {
	type step struct{ event, pool string }
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"servers come up and fail", []step{
			{"load a=1 b=2 c=3", ""}, {"a up", "a=1"}, {"c up", "a=1 c=3"}, {"b down", "a=1 c=3"}, {"b up", "a=1 b=2 c=3"},
			{"a down", "b=2 c=3"}, {"b down", "c=3"}, {"c down", ""}, {"b up", "b=2"},
		}},
		{"failed servers stay with weight 0", []step{
			{"load weight a=1 b=2", "a=0 b=0"}, {"a up", "a=1 b=0"}, {"b up", "a=1 b=2"}, {"a down", "a=0 b=2"}, {"b down", "a=0 b=0"},
		}},
		{"without checks", []step{{"load unchecked a=1 b=0", "a=1 b=0"}, {"restart", "a=1 b=0"}, {"load unchecked b=4", "b=4"}}},
		{"a restart keeps the pool until there are results", []step{
			{"load a=1 b=2 c=3", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"c down", "a=1 b=2"},
			{"restart", "a=1 b=2"}, {"c down", "a=1 b=2"}, {"settle", "a=1 b=2"}, {"a down", "b=2"}, {"b up", "b=2"}, {"settle", "b=2"}, {"c up", "b=2 c=3"},
		}},
		{"a server that failed one check waits for the other", []step{
			{"load deep a=1", ""}, {"a up", ""}, {"a:8080 up", "a=1"}, {"restart", "a=1"}, {"a up", "a=1"}, {"a down", ""}, {"a up", ""}, {"a:8080 up", "a=1"},
		}},
		{"a restart keeps weight 0", []step{
			{"load weight a=1 b=2", "a=0 b=0"}, {"a up", "a=1 b=0"}, {"b down", "a=1 b=0"}, {"restart", "a=1 b=0"}, {"b up", "a=1 b=2"}, {"a down", "a=0 b=2"},
		}},
		{"a second restart before the first results", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"restart", "a=1"}, {"restart", "a=1"}, {"b up", "a=1 b=2"}, {"restart", "a=1 b=2"}, {"a down", "b=2"},
		}},
		{"servers join and leave", []step{
			{"load a=1", ""}, {"a up", "a=1"}, {"load a=1 b=2", "a=1"}, {"b up", "a=1 b=2"}, {"load b=2 c=3", "b=2"}, {"c down", "b=2"},
			{"load a=1 b=2 c=3", "b=2"}, {"a up", "a=1 b=2"},
		}},
		{"a weight changes", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"load a=5 b=2", "a=5"}, {"b down", "a=5"}, {"load a=0 b=7", "a=0"}, {"b up", "a=0 b=7"},
		}},
		{"a weight changes before the first result", []step{
			{"load a=1", ""}, {"a up", "a=1"}, {"restart", "a=1"}, {"load a=5", "a=1"}, {"a up", "a=5"},
		}},
		{"a check is added", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b down", "a=1"}, {"load deep a=1 b=2", "a=1"}, {"a:8080 down", ""}, {"b up", ""},
			{"b:8080 up", "b=2"}, {"a:8080 up", "a=1 b=2"}, {"a down", "b=2"}, {"a:8080 down", "b=2"}, {"a up", "b=2"}, {"a:8080 up", "a=1 b=2"},
		}},
		{"a check is removed", []step{
			{"load deep a=1", ""}, {"a up", ""}, {"a:8080 down", ""}, {"load a=1", "a=1"}, {"load unchecked a=1", "a=1"},
		}},
		{"what happens to failed servers changes", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b down", "a=1"}, {"load weight a=1 b=2", "a=1 b=0"}, {"a down", "a=0 b=0"}, {"load a=1 b=2", ""},
		}},
		{"a service is removed and comes back", []step{
			{"load a=1", ""}, {"a up", "a=1"}, {"load", ""}, {"load a=1", ""}, {"a up", "a=1"},
		}},
		{"quorum of servers, without a sorry server: nothing changes", []step{
			{"load quorum=2±0 a=1 b=2", ""}, {"a up", "a=1"}, {"b down", "a=1"}, {"b up", "a=1 b=2"}, {"a down", "b=2"}, {"b down", ""},
		}},
		{"a sorry server replaces the last real server", []step{
			{"load a=1 b=2 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"a down", "b=2 z=0"}, {"b down", "z=1"}, {"a up", "a=1 z=0"},
		}},
		{"the sorry server waits for the last first result", []step{
			{"load a=1 b=2 z!=1", "z=0"}, {"a down", "z=0"}, {"b down", "z=1"},
		}},
		{"below the quorum, the rest keeps its connections only", []step{
			{"load quorum=2±0 a=1 b=2 c=3 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"c up", "a=1 b=2 c=3 z=0"},
			{"c down", "a=1 b=2 z=0"}, {"a down", "b=0 z=1"}, {"c up", "b=2 c=3 z=0"},
		}},
		{"hysteresis", []step{
			{"load quorum=2±1 a=1 b=2 c=3 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"c up", "a=1 b=2 c=3 z=0"},
			{"c down", "a=1 b=2 z=0"}, {"b down", "a=1 z=0"}, {"a down", "z=1"}, {"a up", "a=0 z=1"}, {"b up", "a=0 b=0 z=1"}, {"c up", "a=1 b=2 c=3 z=0"},
		}},
		{"quorum of weights, as keepalived counts", []step{
			{"load weight=5±1 a=1 b=2 c=3 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"c up", "a=1 b=2 c=3 z=0"},
			{"a down", "b=2 c=3 z=0"}, {"b down", "c=0 z=1"}, {"b up", "b=0 c=0 z=1"}, {"a up", "a=1 b=2 c=3 z=0"},
		}},
		{"a pool of sorry servers is checked", []step{
			{"load a=1 y?=1 z?=2", ""}, {"a up", "a=1"}, {"z up", "a=1 z=0"}, {"a down", "z=2"}, {"y up", "y=1 z=2"}, {"z down", "y=1"}, {"y down", ""},
			{"z up", "z=2"}, {"a up", "a=1 z=0"},
		}},
		{"without a sorry server that is up, the rest serves", []step{
			{"load quorum=2±0 a=1 b=2 z?=1", ""}, {"z down", ""}, {"a up", "a=1"}, {"b down", "a=1"}, {"z up", "a=0 z=1"}, {"z down", "a=1"},
		}},
		{"on_failure = weight applies to sorry servers", []step{
			{"load weight a=1 z?=1", "a=0 z=0"}, {"a up", "a=1 z=0"}, {"z up", "a=1 z=0"}, {"a down", "a=0 z=1"}, {"z down", "a=0 z=0"},
		}},
		{"with sh, a server of weight 0 would refuse its clients", []step{
			{"load sh quorum=2±0 a=1 b=2 z!=1", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"a down", "z=1"}, {"a up", "a=1 b=2"},
		}},
		{"in a persistent service, a sorry server of weight 0 would keep its clients", []step{
			{"load persistent a=1 z!=1", ""}, {"a up", "a=1"}, {"a down", "z=1"}, {"a up", "a=1"},
		}},
		{"a restart while the sorry server serves", []step{
			{"load quorum=2±1 a=1 b=2 c=3 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b down", "a=1 z=0"}, {"c down", "a=0 z=1"}, {"restart", "a=0 z=1"},
			{"a up", "a=0 z=1"}, {"b up", "a=0 b=0 z=1"}, {"c up", "a=1 b=2 c=3 z=0"},
		}},
		{"a restart while the real servers serve", []step{
			{"load quorum=2±0 a=1 b=2 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b up", "a=1 b=2 z=0"}, {"restart", "a=1 b=2 z=0"}, {"a up", "a=1 b=2 z=0"}, {"b down", "a=0 z=1"},
		}},
		{"sorry server and quorum are configured later", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b down", "a=1"}, {"load quorum=2±0 a=1 b=2", "a=1"}, {"load quorum=2±0 a=1 b=2 z!=1", "a=0 z=1"},
			{"load a=1 b=2 z!=1", "a=1 z=0"},
		}},
		{"a floor in servers: the ones that failed last stay", []step{
			{"load min_up=2 a=1 b=2 c=3 d=4", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"c up", "a=1 b=2 c=3"}, {"d down", "a=1 b=2 c=3"},
			{"a down", "b=2 c=3"}, {"b down", "b=2 c=3"}, {"c down", "b=2 c=3"}, {"d up", "c=3 d=4"}, {"a up", "a=1 d=4"}, {"d down", "a=1 d=4"}, {"b up", "a=1 b=2"},
		}},
		{"a floor in percent is rounded up", []step{
			{"load min_up=30% a=1 b=2 c=3 d=4", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"c up", "a=1 b=2 c=3"}, {"d up", "a=1 b=2 c=3 d=4"},
			{"a down", "b=2 c=3 d=4"}, {"b down", "c=3 d=4"}, {"c down", "c=3 d=4"}, {"d down", "c=3 d=4"}, {"a up", "a=1 d=4"},
		}},
		{"a floor survives a restart", []step{
			{"load min_up=1 a=1 b=2", ""}, {"a up", "a=1"}, {"b down", "a=1"}, {"a down", "a=1"}, {"restart", "a=1"}, {"b down", "a=1"}, {"a down", "a=1"}, {"b up", "b=2"},
		}},
		{"a server that never passed is not used because of a floor", []step{
			{"load min_up=2 a=1 b=2", ""}, {"a down", ""}, {"b down", ""}, {"b up", "b=2"}, {"b down", "b=2"},
		}},
		{"disabled servers do not count for a floor", []step{
			{"load min_up=50% a=1 b=2 c=3 d=4", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"c up", "a=1 b=2 c=3"}, {"disable c", "a=1 b=2"}, {"drain d", "a=1 b=2"},
			{"a down", "b=2"}, {"b down", "b=2"}, {"disable b", ""}, {"enable b", ""}, {"a up", "a=1"},
		}},
		{"servers kept by a floor have no vote", []step{
			{"load min_up=1 a=1 b=2 z!=1", "z=0"}, {"a up", "a=1 z=0"}, {"b down", "a=1 z=0"}, {"a down", "z=1"}, {"disable z", "a=1"}, {"enable z", "z=1"}, {"a up", "a=1 z=0"},
		}},
		{"slow start after a recovery", []step{
			{"load slow=20 a=100 b=100", ""}, {"a up", "a=100"}, {"b up", "a=100 b=100"}, {"a down", "b=100"}, {"a up", "a=5 b=100"}, {"wait 1", "a=10 b=100"}, {"wait 9", "a=55 b=100"},
			{"load slow=20 a=40 b=100", "a=22 b=100"}, {"wait 8", "a=38 b=100"}, {"wait 1", "a=40 b=100"}, {"wait 100", "a=40 b=100"},
		}},
		{"slow start of a small weight, and without it", []step{
			{"load slow=20 a=2", ""}, {"a down", ""}, {"a up", "a=1"}, {"wait 18", "a=1"}, {"wait 1", "a=2"}, {"a down", ""}, {"load a=2", ""}, {"a up", "a=2"},
		}},
		{"slow start after an order", []step{
			{"load slow=20 a=100 b=100", ""}, {"a up", "a=100"}, {"b up", "a=100 b=100"}, {"disable a", "b=100"}, {"enable a", "a=5 b=100"}, {"weight a 40", "a=2 b=100"}, {"wait 20", "a=40 b=100"},
			{"drain a", "a=0 b=100"}, {"enable a", "a=100 b=100"},
		}},
		{"slow start continues after a restart", []step{
			{"load slow=20 a=100 b=100", ""}, {"a down", ""}, {"b up", "b=100"}, {"a up", "a=5 b=100"}, {"wait 9", "a=50 b=100"}, {"restart", "a=50 b=100"}, {"b up", "a=50 b=100"},
			{"a up", "a=60 b=100"}, {"wait 7", "a=95 b=100"}, {"wait 1", "a=100 b=100"},
		}},
		{"slow start continues after a restart, without checks and with an order", []step{
			{"load slow=20 unchecked a=100 b=3", "a=100 b=3"}, {"disable a", "b=3"}, {"disable b", ""}, {"enable a", "a=5"}, {"enable b", "a=5 b=1"}, {"wait 9", "a=50 b=1"},
			{"restart", "a=50 b=1"}, {"weight a 60", "a=30 b=1"}, {"restart", "a=30 b=1"}, {"wait 10", "a=60 b=2"}, {"restart", "a=60 b=2"},
		}},
		{"less weight than configured is no slow start, if an agent asked for it", []step{
			{"load slow=20 agent a=100", ""}, {"a up", "a=100"}, {"a advises 40", "a=40"}, {"restart", "a=40"}, {"a up", "a=100"}, {"a advises 40", "a=40"},
		}},
		{"an agent's weight, drain and maintenance", []step{
			{"load agent a=100 b=100 z!=1", "z=0"}, {"a up", "a=100 z=0"}, {"b up", "a=100 b=100 z=0"}, {"a advises 40", "a=40 b=100 z=0"}, {"a advises drain", "a=0 b=100 z=0"},
			{"b advises maint", "a=0 z=1"}, {"a advises ready", "a=100 z=0"}, {"b down", "a=100 z=0"}, {"b up", "a=100 b=100 z=0"}, {"load agent a=60 b=100 z!=1", "a=60 b=100 z=0"},
		}},
		{"an order, an agent's percentage and slow start", []step{
			{"load slow=20 agent a=100", ""}, {"a up", "a=100"}, {"a advises 50", "a=50"}, {"weight a 40", "a=40"}, {"a down", ""}, {"a up", "a=2"}, {"wait 9", "a=20"},
			{"enable a", "a=50"}, {"a advises 50", "a=25"}, {"wait 10", "a=50"}, {"drain a", "a=0"}, {"a advises drain", "a=0"}, {"enable a", "a=0"}, {"a advises ready", "a=100"},
		}},
		{"a floor does not keep what its agent drains", []step{
			{"load min_up=2 agent a=1 b=2 c=3", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"c up", "a=1 b=2 c=3"}, {"a advises drain", "a=0 b=2 c=3"}, {"b advises maint", "a=0 c=3"},
		}},
		{"on_failure of a server", []step{
			{"load a=1 b+=2", "b=0"}, {"a up", "a=1 b=0"}, {"b up", "a=1 b=2"}, {"a down", "b=2"}, {"b down", "b=0"},
			{"load weight a=1 b-=2", "a=0"}, {"b up", "a=0 b=2"}, {"b down", "a=0"}, {"load min_up=1 a=1 b+=2 z!=1", "b=0 z=1"},
		}},
		{"slow start does not change the quorum", []step{
			{"load slow=20 weight=150±0 a=100 b=100 z!=1", "z=0"}, {"a up", "a=100 z=0"}, {"b up", "a=100 b=100 z=0"}, {"a down", "b=0 z=1"}, {"a up", "a=5 b=100 z=0"},
		}},
		{"a server that a floor has kept has no slow start", []step{
			{"load slow=20 min_up=1 a=100", ""}, {"a up", "a=100"}, {"a down", "a=100"}, {"a up", "a=100"},
		}},
		{"servers that are presumed to be up", []step{
			{"load presumed a=1 b=2", "a=1 b=2"}, {"a down", "b=2"}, {"b up", "b=2"}, {"a up", "a=1 b=2"}, {"restart", "a=1 b=2"}, {"load presumed a=1 b=2 c=3", "a=1 b=2 c=3"},
		}},
		{"one server that is presumed to be up, or is not", []step{
			{"load a=1 b^=2", "b=2"}, {"b down", ""}, {"a up", "a=1"}, {"load presumed a_=1 b=2 c_=3 d=4", "a=1 d=4"}, {"c up", "a=1 c=3 d=4"},
		}},
		{"an operator drains, disables and enables", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"drain a", "a=0 b=2"}, {"a down", "b=2"}, {"a up", "a=0 b=2"}, {"enable a", "a=1 b=2"},
			{"disable b", "a=1"}, {"b down", "a=1"}, {"b up", "a=1"}, {"enable b", "a=1 b=2"},
		}},
		{"a drain has a deadline", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"drain a 10", "a=0 b=2"}, {"wait 9", "a=0 b=2"}, {"wait 1", "b=2"}, {"load a=3 b=2", "b=2"}, {"enable a", "a=3 b=2"},
		}},
		{"an operator's weight does not replace checks", []step{
			{"load a=1 b=2", ""}, {"weight a 5", ""}, {"a up", "a=5"}, {"b up", "a=5 b=2"}, {"a down", "b=2"}, {"a up", "a=5 b=2"}, {"load a=7 b=2", "a=5 b=2"},
			{"weight a 0", "a=0 b=2"}, {"enable a", "a=7 b=2"}, {"load a=0 b=2", "a=0 b=2"}, {"weight a 4", "a=4 b=2"},
		}},
		{"with on_failure = weight", []step{
			{"load weight a=1 b=2", "a=0 b=0"}, {"disable a", "b=0"}, {"weight b 5", "b=0"}, {"b up", "b=5"}, {"drain b", "b=0"}, {"b down", "b=0"}, {"enable a", "a=0 b=0"},
		}},
		{"orders survive a restart", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"drain a", "a=0 b=2"}, {"weight b 5", "a=0 b=5"}, {"restart", "a=0 b=5"}, {"a up", "a=0 b=5"}, {"b up", "a=0 b=5"},
		}},
		{"an order that ended during a restart", []step{
			{"load a=1 b=2", ""}, {"a up", "a=1"}, {"b up", "a=1 b=2"}, {"drain a", "a=0 b=2"}, {"restart", "a=0 b=2"}, {"enable a", "a=0 b=2"}, {"a up", "a=1 b=2"},
		}},
		{"a drained server has no vote, a sorry server can be drained", []step{
			{"load a=1 b=2 y!=1 z!=1", "y=0 z=0"}, {"a up", "a=1 y=0 z=0"}, {"b down", "a=1 y=0 z=0"}, {"drain y", "a=1 y=0 z=0"}, {"drain a", "a=0 y=0 z=1"}, {"enable a", "a=1 y=0 z=0"},
			{"disable a", "y=0 z=1"}, {"disable z", "y=0"}, {"enable y", "y=1"},
		}},
		{"a real server without weight has no vote", []step{
			{"load a=0 b=1 z!=1", "z=0"}, {"a up", "a=0 z=0"}, {"b down", "a=0 z=1"}, {"load a=2 b=1 z!=1", "a=2 z=0"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := world{health: map[string]healthcheck.Health{}}
			for i, s := range tt.steps {
				w.do(s.event)
				if got := w.pool(); got != s.pool {
					t.Fatalf("after step %d, %q, the pool is %q, want %q", i+1, s.event, got, s.pool)
				}
			}
		})
	}
}

// TestQuorumHasATime compares when the quorum was gained and lost.
func TestQuorumHasATime(t *testing.T) {
	w := world{health: map[string]healthcheck.Health{}}
	for _, step := range []struct {
		event string
		state healthcheck.State
		since int64
	}{
		{"load a=1 b=2", unknown, 0}, {"a up", up, 1}, {"b up", up, 1}, {"a down", up, 1}, {"wait 5", up, 1}, {"b down", down, 9}, {"wait 3", down, 9}, {"load a=1", down, 9}, {"a up", up, 13},
	} {
		w.do(step.event)
		q := w.verdict(w.services[0]).Quorum
		if q.State != step.state || (step.since > 0) != !q.Since.IsZero() || step.since > 0 && q.Since.Unix() != step.since {
			t.Errorf("after %q: %s since %v, want %s since %d", step.event, q.State, q.Since.Unix(), step.state, step.since)
		}
	}
}
