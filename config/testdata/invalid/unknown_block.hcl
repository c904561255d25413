virtual_servce "web" {}
varable "x" {}
