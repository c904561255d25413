package explain

import (
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// silenceCases are causes for which a backup receives no adverts.
func silenceCases() []injected {
	return []injected{
		{name: "cable of the master pulled", inject: func(w *world) {
			w.pair()
			w.silent, w.a.deaf = w.a, true
			w.a.step(vrrp.Down{Reason: vrrp.ReasonInterfaceDown})
			settle(w)
		}, reason: vrrp.ReasonMasterDownTimer, want: MasterSilent, peer: PeerChanged},
		{name: "network between the hosts cut", inject: func(w *world) {
			w.pair()
			w.lossy = true
			settle(w)
		}, reason: vrrp.ReasonMasterDownTimer, want: MasterSilent, peer: PeerSending},
		{name: "network between the hosts cut soon after another failover", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackScript, vrrp.EffectFault, 0)
			w.run(500 * time.Millisecond)
			w.a.clear()
			w.run(time.Second)
			w.lossy = true
			w.run(time.Second)
		}, reason: vrrp.ReasonMasterDownTimer, want: MasterSilent, peer: PeerSending},
		{name: "master's host crashed", inject: func(w *world) {
			w.pair()
			w.a.off = true
			settle(w)
		}, reason: vrrp.ReasonMasterDownTimer, want: MasterSilent, peer: PeerCrashed},
		{name: "master's host crashed and restarted", inject: func(w *world) {
			w.pair()
			w.a.off = true
			w.run(1 * time.Second)
			w.a.in.Preempt = false
			w.a.boot(false)
			settle(w)
		}, reason: vrrp.ReasonMasterDownTimer, want: MasterSilent, peer: PeerCrashed},
		{name: "master stopped by SIGSTOP", inject: func(w *world) {
			w.pair()
			w.b.in.Preempt = true
			w.a.stall(1500 * time.Millisecond)
			w.run(1 * time.Second)
		}, reason: vrrp.ReasonMasterDownTimer, want: MasterSilent},
		{name: "master that was stopped comes back without preemption", setup: func(a, _ *vrrp.Instance) { a.Preempt = false }, inject: func(w *world) {
			w.pair()
			w.a.stall(1500 * time.Millisecond)
			settle(w)
		}, onA: true, reason: vrrp.ReasonLapsed, want: OwnStall},
		{name: "backup stopped by SIGSTOP and its packets lost", inject: func(w *world) {
			w.pair()
			w.b.stall(1500 * time.Millisecond)
			w.b.deaf = true
			w.run(1600 * time.Millisecond)
		}, reason: vrrp.ReasonMasterDownTimer, want: OwnStall, peer: PeerSending},
		{name: "packet filter on the backup", inject: func(w *world) {
			w.pair()
			w.b.deaf = true
			w.run(time.Second)
			w.b.log.Conflict(vrrp.Conflict{Kind: vrrp.ConflictHidden, Router: w.a.source, Priority: 150}, w.now)
			settle(w)
		}, reason: vrrp.ReasonMasterDownTimer, want: AdvertsFiltered, peer: PeerSending},
		{name: "packet filter on the master for outgoing adverts", inject: func(w *world) {
			w.pair()
			w.silent = w.a
			w.a.log.SendFailed("operation not permitted", w.now)
			w.run(700 * time.Millisecond)
		}, reason: vrrp.ReasonMasterDownTimer, want: MasterSilent, peer: PeerNoSend},
		{name: "first router of the network", inject: func(w *world) {
			w.b.boot(false)
			settle(w)
		}, reason: vrrp.ReasonMasterDownTimer, want: NoMaster},
		{name: "first router with a startup delay", setup: func(_, b *vrrp.Instance) { b.StartupDelay = time.Second }, inject: func(w *world) {
			w.b.boot(false)
			settle(w)
		}, reason: vrrp.ReasonMasterDownTimer, want: StartupDelay},
		{name: "process started", inject: func(w *world) {
			w.b.boot(false)
			w.run(50 * time.Millisecond)
		}, reason: vrrp.ReasonStartup, want: Started},
		{name: "owner of the addresses", setup: func(_, b *vrrp.Instance) { b.Priority = 255 }, inject: func(w *world) {
			w.b.boot(false)
			settle(w)
		}, reason: vrrp.ReasonOwner, want: Owner},
		{name: "speaker killed by kill -9", inject: func(w *world) {
			w.pair()
			w.a.boot(true)
			settle(w)
		}, onA: true, reason: vrrp.ReasonAdopted, want: Replaced},
	}
}

// refusedCases are settings that differ between the hosts.
func refusedCases() []injected {
	var out []injected
	for _, reason := range []vrrp.DropReason{
		vrrp.DropAuthFailed, vrrp.DropAuthType, vrrp.DropAuthMissing, vrrp.DropAuthStale, vrrp.DropAuthKeyUnknown, vrrp.DropAuthReplayed,
		vrrp.DropChecksum, vrrp.DropChecksumMode, vrrp.DropTTL, vrrp.DropIntervalMismatch, vrrp.DropInstanceVersion, vrrp.DropNotAPeer, vrrp.DropDestination,
	} {
		out = append(out, injected{name: "refused: " + reason.String(), inject: func(w *world) {
			w.pair()
			w.b.refuse = reason
			settle(w)
		}, reason: vrrp.ReasonMasterDownTimer, want: AdvertsRefused, peer: PeerSending})
	}
	out = append(out,
		injected{name: "password wrong from the start", inject: func(w *world) {
			w.b.refuse = vrrp.DropAuthFailed
			w.a.boot(false)
			settle(w)
			w.b.boot(false)
			settle(w)
		}, reason: vrrp.ReasonMasterDownTimer, want: AdvertsRefused, peer: PeerSending},
		injected{name: "virtual router ID of the master changed", inject: func(w *world) {
			w.pair()
			w.b.refuse = vrrp.DropVRIDUnknown
			settle(w)
		}, reason: vrrp.ReasonMasterDownTimer, want: AdvertsRefused},
	)
	return out
}

// trackCases are tracks of the master.
func trackCases() []injected {
	var out []injected
	for _, kind := range []vrrp.TrackKind{vrrp.TrackScript, vrrp.TrackFile, vrrp.TrackProcess, vrrp.TrackService, vrrp.TrackInterfaceLink} {
		out = append(out,
			injected{name: "weight of a track: " + string(kind), inject: func(w *world) {
				w.pair()
				w.a.track(kind, vrrp.EffectOffset, -100)
				settle(w)
			}, onA: true, reason: vrrp.ReasonHigherPriority, want: Code("track-" + kind)},
			injected{name: "fault of a track: " + string(kind), inject: func(w *world) {
				w.pair()
				w.a.track(kind, vrrp.EffectFault, 0)
				settle(w)
			}, onA: true, reason: vrrp.ReasonTrack, want: Code("track-" + kind)})
	}
	return append(out,
		injected{name: "track of the master, seen by the backup", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackScript, vrrp.EffectOffset, -100)
			settle(w)
		}, reason: vrrp.ReasonPreempt, want: PeerLowered, peer: PeerChanged},
		injected{name: "track recovered", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackScript, vrrp.EffectOffset, -100)
			settle(w)
			w.a.clear()
			settle(w)
		}, onA: true, reason: vrrp.ReasonPreempt, want: "track-script"},
		injected{name: "fault of a track over", inject: func(w *world) {
			w.b.boot(false)
			w.b.track(vrrp.TrackScript, vrrp.EffectFault, 0)
			settle(w)
			w.b.clear()
			w.run(50 * time.Millisecond)
		}, reason: vrrp.ReasonStartup, want: Recovered},
		injected{name: "the first result of a track", inject: func(w *world) {
			w.b.boot(false)
			w.b.step(vrrp.SetTracks{Tracks: []vrrp.Track{{Name: "t", Kind: vrrp.TrackScript, Effect: vrrp.EffectFault, Pending: true, Reason: "no result yet"}}})
			settle(w)
			w.b.clear()
			w.run(50 * time.Millisecond)
		}, reason: vrrp.ReasonStartup, want: Started},
		injected{name: "director without IPVS", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackTable, vrrp.EffectLastResort, 0)
			settle(w)
		}, onA: true, reason: vrrp.ReasonSuccessorHeard, want: Unfit},
		injected{name: "IPVS usable after another router took over", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackTable, vrrp.EffectLastResort, 0)
			settle(w)
			w.a.clear()
			settle(w)
		}, onA: true, reason: vrrp.ReasonPreempt, want: Fit},
		injected{name: "director lost", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackDirector, vrrp.EffectLastResort, 0)
			settle(w)
		}, onA: true, reason: vrrp.ReasonSuccessorHeard, want: DirectorLost},
		injected{name: "director back after another router took over", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackDirector, vrrp.EffectLastResort, 0)
			settle(w)
			w.a.clear()
			settle(w)
		}, onA: true, reason: vrrp.ReasonPreempt, want: DirectorBack},
		injected{name: "addresses accepted again after another router took over", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackAddresses, vrrp.EffectLastResort, 0)
			settle(w)
			w.a.clear()
			settle(w)
		}, onA: true, reason: vrrp.ReasonPreempt, want: AddressesBack},
		injected{name: "director lost without another router, and back", inject: func(w *world) {
			w.a.boot(false)
			settle(w)
			w.a.track(vrrp.TrackDirector, vrrp.EffectLastResort, 0)
			w.run(50 * time.Millisecond)
			w.a.clear()
			settle(w)
		}, onA: true, reason: vrrp.ReasonDirectorBack, want: DirectorBack},
		injected{name: "some addresses refused", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackAddresses, vrrp.EffectLastResort, 0)
			settle(w)
		}, onA: true, reason: vrrp.ReasonSuccessorHeard, want: AddressesRefused},
		injected{name: "all addresses refused", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackAddresses, vrrp.EffectFault, 0)
			settle(w)
		}, onA: true, reason: vrrp.ReasonAddressRefused, want: AddressesRefused},
		injected{name: "sync group", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackGroup, vrrp.EffectFault, 0)
			settle(w)
		}, onA: true, reason: vrrp.ReasonGroupFault, want: SyncGroup},
	)
}

// operatorCases are commands.
func operatorCases() []injected {
	failover := func(w *world) {
		w.pair()
		w.a.track(vrrp.TrackFailover, vrrp.EffectLastResort, 0)
		settle(w)
	}
	return []injected{
		{name: "failover", inject: failover, onA: true, reason: vrrp.ReasonSuccessorHeard, want: Failover},
		{name: "failover, seen by the backup", inject: failover, reason: vrrp.ReasonPriorityZero, want: MasterLeft, peer: PeerChanged},
		{name: "failover undone", inject: func(w *world) {
			failover(w)
			w.a.clear()
			settle(w)
		}, onA: true, reason: vrrp.ReasonPreempt, want: FailoverEnded},
		{name: "failover without another router", inject: func(w *world) {
			w.a.boot(false)
			settle(w)
			w.a.track(vrrp.TrackFailover, vrrp.EffectLastResort, 0)
			settle(w)
		}, onA: true, reason: vrrp.ReasonNobodyTookOver, want: NobodyTookOver},
		{name: "peer stopped", inject: func(w *world) {
			w.pair()
			w.a.step(vrrp.Resign{Reason: vrrp.ReasonResignStop})
			settle(w)
		}, reason: vrrp.ReasonPriorityZero, want: MasterLeft, peer: PeerChanged},
		{name: "stopped", inject: func(w *world) {
			w.pair()
			w.a.step(vrrp.Resign{Reason: vrrp.ReasonResignStop})
			settle(w)
		}, onA: true, reason: vrrp.ReasonResignStop, want: Stopped},
		{name: "instance removed", inject: func(w *world) {
			w.pair()
			w.b.step(vrrp.Resign{Reason: vrrp.ReasonRemoved})
			settle(w)
		}, reason: vrrp.ReasonRemoved, want: Removed},
		{name: "reload lowers the priority of the master", inject: func(w *world) {
			w.pair()
			w.a.reload(func(in *vrrp.Instance) { in.Priority = 50 })
			settle(w)
		}, onA: true, reason: vrrp.ReasonHigherPriority, want: Reload},
		{name: "reload raises the priority of the backup", inject: func(w *world) {
			w.pair()
			w.b.reload(func(in *vrrp.Instance) { in.Priority = 200 })
			settle(w)
		}, reason: vrrp.ReasonPreempt, want: Reload},
		{name: "reload allows preemption", setup: func(a, _ *vrrp.Instance) { a.Preempt = false }, inject: func(w *world) {
			w.b.boot(false)
			settle(w)
			w.a.boot(false)
			settle(w)
			w.a.reload(func(in *vrrp.Instance) { in.Preempt = true })
			settle(w)
		}, onA: true, reason: vrrp.ReasonPreempt, want: Reload},
	}
}

// preemptCases are routers that come back.
func preemptCases() []injected {
	back := func(w *world) {
		w.b.boot(false)
		settle(w)
		w.a.boot(false)
		settle(w)
	}
	return []injected{
		{name: "better router came back", inject: back, onA: true, reason: vrrp.ReasonPreempt, want: LesserMaster},
		{name: "better router came back, seen by the master", inject: back, reason: vrrp.ReasonHigherPriority, want: BetterMaster, peer: PeerChanged},
		{name: "preempt delay over", setup: func(a, _ *vrrp.Instance) { a.PreemptDelay = time.Second }, inject: back, onA: true, reason: vrrp.ReasonPreempt, want: PreemptDelay},
		{name: "connections learned", inject: func(w *world) {
			w.b.boot(false)
			settle(w)
			w.a.boot(false)
			w.a.track(vrrp.TrackConnectionSync, vrrp.EffectHold, 0)
			settle(w)
			w.a.clear()
			settle(w)
		}, onA: true, reason: vrrp.ReasonPreempt, want: HoldOver},
		{name: "two masters of the same priority", setup: func(a, _ *vrrp.Instance) { a.Priority = 100 }, inject: func(w *world) {
			w.lossy = true
			w.a.boot(false)
			w.b.boot(false)
			settle(w)
			w.lossy = false
			settle(w)
		}, onA: true, reason: vrrp.ReasonEqualHigherAddress, want: EqualMaster},
		{name: "network whole again", inject: func(w *world) {
			w.pair()
			w.lossy = true
			settle(w)
			w.lossy = false
			settle(w)
		}, reason: vrrp.ReasonHigherPriority, want: BetterMaster},
		{name: "network whole again, long after the priority was lower", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackScript, vrrp.EffectOffset, -100)
			settle(w)
			w.a.clear()
			settle(w)
			w.lossy = true
			settle(w)
			w.lossy = false
			settle(w)
		}, reason: vrrp.ReasonHigherPriority, want: BetterMaster},
		{name: "peer raised its priority since it was heard", inject: func(w *world) {
			w.pair()
			w.a.track(vrrp.TrackScript, vrrp.EffectOffset, -100)
			settle(w)
			w.a.clear()
			settle(w)
			w.b.reload(func(in *vrrp.Instance) { in.Priority = 200 })
			settle(w)
		}, onA: true, reason: vrrp.ReasonHigherPriority, want: PeerRaised},
		{name: "peer raised its priority", inject: func(w *world) {
			w.pair()
			w.b.reload(func(in *vrrp.Instance) { in.Priority = 200 })
			settle(w)
		}, onA: true, reason: vrrp.ReasonHigherPriority, want: BetterMaster, peer: PeerChanged},
	}
}

// faultCases are interfaces.
func faultCases() []injected {
	var out []injected
	for _, reason := range []vrrp.Reason{vrrp.ReasonInterfaceDown, vrrp.ReasonInterfaceMissing, vrrp.ReasonNoAddress, vrrp.ReasonSocket, vrrp.ReasonVMAC} {
		out = append(out, injected{name: string(reason), inject: func(w *world) {
			w.pair()
			w.a.step(vrrp.Down{Reason: reason})
			settle(w)
		}, onA: true, reason: reason, want: Code(reason)})
	}
	return append(out, injected{name: "interface back", inject: func(w *world) {
		w.b.boot(false)
		w.run(time.Second)
		w.b.step(vrrp.Down{Reason: vrrp.ReasonInterfaceDown})
		w.run(time.Second)
		w.b.step(vrrp.Up{Source: w.b.source})
		w.run(50 * time.Millisecond)
	}, reason: vrrp.ReasonStartup, want: Recovered})
}
