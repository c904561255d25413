package ipvsnl

// The commands of the family (include/uapi/linux/ip_vs.h, IPVS_CMD_*).
const (
	CmdNewService uint8 = 1
	CmdSetService uint8 = 2
	CmdDelService uint8 = 3
	CmdGetService uint8 = 4
	CmdNewDest    uint8 = 5
	CmdSetDest    uint8 = 6
	CmdDelDest    uint8 = 7
	CmdGetDest    uint8 = 8
	CmdNewDaemon  uint8 = 9
	CmdDelDaemon  uint8 = 10
	CmdGetDaemon  uint8 = 11
	CmdSetConfig  uint8 = 12
	CmdGetConfig  uint8 = 13
	CmdSetInfo    uint8 = 14
	CmdGetInfo    uint8 = 15
	CmdZero       uint8 = 16
	CmdFlush      uint8 = 17
)

// The attributes of a command (IPVS_CMD_ATTR_*).
const (
	AttrService       uint16 = 1 // nested
	AttrDest          uint16 = 2 // nested
	AttrDaemon        uint16 = 3 // nested
	AttrTimeoutTCP    uint16 = 4 // u32, seconds
	AttrTimeoutTCPFin uint16 = 5
	AttrTimeoutUDP    uint16 = 6
)
