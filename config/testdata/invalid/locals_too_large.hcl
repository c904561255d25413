locals {
  a = format("%-1000s", "x")
  b = join("", [for i in range(1000) : local.a])
  c = join("", [for i in range(20) : local.b])
}
