package ipvs

// The attributes of a service (include/uapi/linux/ip_vs.h, IPVS_SVC_ATTR_*).
const (
	serviceFamily    uint16 = 1  // u16
	serviceProtocol  uint16 = 2  // u16
	serviceAddress   uint16 = 3  // 16 bytes
	servicePort      uint16 = 4  // be16
	serviceMark      uint16 = 5  // u32
	serviceScheduler uint16 = 6  // string
	serviceFlags     uint16 = 7  // struct ip_vs_flags: flags, mask
	serviceTimeout   uint16 = 8  // u32, seconds
	serviceNetmask   uint16 = 9  // IPv4: be32, IPv6: u32 prefix length
	serviceStats     uint16 = 10 // nested, 32 bits
	servicePEName    uint16 = 11 // string
	serviceStats64   uint16 = 12 // nested, 64 bits
)

// The attributes of a destination (IPVS_DEST_ATTR_*).
const (
	destAddress        uint16 = 1  // 16 bytes
	destPort           uint16 = 2  // be16
	destForward        uint16 = 3  // u32
	destWeight         uint16 = 4  // u32
	destUpperThreshold uint16 = 5  // u32
	destLowerThreshold uint16 = 6  // u32
	destActive         uint16 = 7  // u32
	destInactive       uint16 = 8  // u32
	destPersistent     uint16 = 9  // u32
	destStats          uint16 = 10 // nested, 32 bits
	destFamily         uint16 = 11 // u16
	destStats64        uint16 = 12 // nested, 64 bits
	destTunnelType     uint16 = 13 // u8
	destTunnelPort     uint16 = 14 // be16
	destTunnelFlags    uint16 = 15 // u16
)

// The attributes of statistics (IPVS_STATS_ATTR_*).
const (
	statsConnections    uint16 = 1
	statsInPackets      uint16 = 2
	statsOutPackets     uint16 = 3
	statsInBytes        uint16 = 4
	statsOutBytes       uint16 = 5
	statsConnectionRate uint16 = 6
	statsInPacketRate   uint16 = 7
	statsOutPacketRate  uint16 = 8
	statsInByteRate     uint16 = 9
	statsOutByteRate    uint16 = 10
)

// The attributes of an info message (IPVS_INFO_ATTR_*).
const (
	infoVersion   uint16 = 1 // u32
	infoTableSize uint16 = 2 // u32
)
