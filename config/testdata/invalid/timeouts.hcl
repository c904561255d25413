timeouts {
  tcp     = "1500ms"
  tcp_fin = "2m30s"
  udp     = "900h"
}
