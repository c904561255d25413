//go:build !race

// The race detector does not change the counts, but would take minutes.

package config

import (
	"runtime"
	"testing"
)

// Each bomb is rejected within a limit of memory. Time is limited by counting units, and by the limit on allocations,
// because each step of an evaluation allocates.
func TestBombs(t *testing.T) {
	for name, text := range bombs {
		t.Run(name, func(t *testing.T) {
			source := []byte(text())
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			_, diags := LoadText("bomb.hcl", source, asLB1())
			runtime.ReadMemStats(&after)
			if !diags.HasErrors() && name != "locals" {
				t.Error("it has no error")
			}
			if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > maxAllocated {
				t.Errorf("loading it allocated %d MiB", allocated)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if held := int64(after.HeapAlloc-before.HeapAlloc) >> 20; held > 64 {
				t.Errorf("its findings hold %d MiB", held)
			}
			if said := printed(t, diags); len(said) > 20_000 {
				t.Errorf("%d bytes are printed", len(said))
			}
			runtime.KeepAlive(diags)
		})
	}
}

// The budget is sufficient for large realistic configurations.
func TestBudgetLeavesRoom(t *testing.T) {
	for name, text := range roomy {
		t.Run(name, func(t *testing.T) {
			if _, diags := LoadText("a.hcl", []byte(text), asLB1()); diags.HasErrors() {
				t.Error(printed(t, diags))
			}
		})
	}
}

// roomy are large configurations that people do write.
var roomy = map[string]string{
	"40,000 real servers in a dynamic block": `
locals {
  servers = [for pair in setproduct(range(200), range(200)) : { address = "10.0.${pair[0]}.${pair[1]}", weight = 1 + pair[1] }]
}
virtual_service "a" {
  address = "192.0.2.1:80"
  dynamic "real_server" {
    for_each = local.servers
    labels   = [real_server.value.address]
    content { weight = real_server.value.weight }
  }
}`,
	"100 services of 100 real servers, chosen by name": `
locals {
  servers = [for pair in setproduct(range(100), range(100)) : { service = pair[0], address = cidrhost("10.0.0.0/8", pair[0] * 256 + pair[1]) }]
}
dynamic "virtual_service" {
  for_each = range(100)
  labels   = ["s${virtual_service.value}"]
  content {
    address = "192.0.2.1:${80 + virtual_service.value}"
    dynamic "real_server" {
      for_each = [for s in slice(local.servers, 100 * virtual_service.value, 100 * (virtual_service.value + 1)) : s if s.service == virtual_service.value]
      labels   = [real_server.value.address]
      content {}
    }
  }
}`,
	"5,000 tries": "locals {\n  a = [for x in setproduct(range(50), range(100)) : try(x.none, x[7], x[0])]\n  b = join(\",\", [for x in local.a : tostring(x)])\n}\n",
}
