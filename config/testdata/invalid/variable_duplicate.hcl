variable "a" { default = 1 }
variable "a" { default = 2 }
variable "1 b" { default = 3 }
