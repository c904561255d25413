locals {
  all  = range(1000)
  many = [for a in local.all : [for b in local.all : [for c in local.all : c if c > 0]]]
  map  = { for a in local.all : "${a}" => length([for b in local.all : b]) }
}
