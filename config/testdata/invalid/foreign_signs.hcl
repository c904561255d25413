virtual_service 'a' {
  address = "192.0.2.10:80";
  health_check “tcp” {}
  health_check "http" { body = "\d+" }
}
