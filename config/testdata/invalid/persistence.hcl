virtual_service "both" {
  address = "192.0.2.10:80"

  persistence {
    timeout = "90500ms"
    netmask = "255.255.255.0"
    prefix  = 24
  }

  real_server "192.0.2.11" {}
}

virtual_service "six" {
  address = "[2001:db8::10]:80"

  persistence { netmask = "255.255.255.0" }

  real_server "2001:db8::11" {}
}

virtual_service "range" {
  address = "192.0.2.10:81"

  persistence { prefix = 64 }

  real_server "192.0.2.11" {}
}

virtual_service "engine" {
  address = "192.0.2.10:5060"

  persistence { engine = "sip" }

  real_server "192.0.2.11" {}
}
