vrrp {}
virtual_service "a" "b" {}
