package config

import "github.com/hashicorp/hcl/v2/hclwrite"

// Format lays out HCL source in the canonical style. What is no valid HCL is laid out as well as may be.
func Format(source []byte) []byte { return hclwrite.Format(source) }
