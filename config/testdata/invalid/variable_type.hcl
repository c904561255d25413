variable "count" {
  type    = number
  default = "many"
}

variable "kind" { type = text }

variable "early" { default = node.name }
