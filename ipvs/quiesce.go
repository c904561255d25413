package ipvs

// Quiesces reports whether a server of weight 0 keeps its connections and causes no loss of new ones. With dh, sh and mh, it keeps its
// share of the hash table, whose clients are refused unless there is a fallback (net/netfilter/ipvs/ip_vs_sh.c, is_unavailable). In a
// persistent service it keeps its clients (ip_vs_conn.c, ip_vs_check_template).
func (s Service) Quiesces() bool {
	switch s.Scheduler {
	case "dh":
		return false
	case "sh", "mh":
		if s.Flags&FlagSched1 == 0 {
			return false
		}
	}
	return s.Flags&FlagPersistent == 0
}
