variable "priority" {
  default = 300

  validation {
    condition     = var.priority < 256
    error_message = "A priority is at most 255."
  }

  validation {
    condition     = "perhaps"
    error_message = "Never."
  }
}
