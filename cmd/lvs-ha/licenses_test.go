package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// thirdParty is distributed with the binary, together with LICENSE.
const thirdParty = "../../THIRD_PARTY_LICENSES"

// licenses maps each accepted license, all compatible with Apache-2.0, to a characteristic phrase.
var licenses = []struct{ name, phrase string }{
	{"Apache-2.0", "Apache License Version 2.0"},
	{"MPL-2.0", "Mozilla Public License, version 2.0"},
	{"BSD-3-Clause", "Redistribution and use in source and binary forms, with or without modification, are permitted"},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
}

// TestThirdPartyLicenses compares the file with the modules linked into the binary.
func TestThirdPartyLicenses(t *testing.T) {
	want := thirdPartyText(t)
	if *update {
		if err := os.WriteFile(thirdParty, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(thirdParty)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s does not fit the dependencies: run `make licenses`", thirdParty)
	}
}

// thirdPartyText lists the modules linked into the binary with their licenses and notices, each text once.
func thirdPartyText(t *testing.T) string {
	t.Helper()
	modules := map[string][]string{} // by text
	var list strings.Builder
	for _, module := range linkedModules(t) {
		name := ""
		for _, text := range module.texts(t) {
			name = cmp.Or(name, licenseOf(text))
			modules[text] = append(modules[text], module.path)
		}
		if name == "" {
			t.Errorf("%s: license not recognized by this test", module.path)
		}
		fmt.Fprintf(&list, "  %-44s %s\n", module.path, name)
	}
	var b strings.Builder
	b.WriteString("The lvs-ha binary contains these modules and the Go standard library, under licenses of their own, which follow.\n" +
		"The source code of a module is at https:// and its name. `make licenses` writes this file.\n\n" + list.String())
	texts := slices.SortedFunc(maps.Keys(modules), func(x, y string) int {
		return cmp.Or(cmp.Compare(modules[x][0], modules[y][0]), cmp.Compare(fingerprint(x), fingerprint(y)))
	})
	for _, text := range texts {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 100), strings.Join(modules[text], "\n"), strings.Trim(text, "\n"))
	}
	return b.String()
}

func fingerprint(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// licenseOf identifies a license by its text; it returns "" for notices and unknown texts.
func licenseOf(text string) string {
	words := strings.Join(strings.Fields(text), " ")
	for _, l := range licenses {
		if strings.Contains(strings.ToLower(words), strings.ToLower(l.phrase)) {
			return l.name
		}
	}
	return ""
}

type linkedModule struct{ path, directory string }

func linkedModules(t *testing.T) []linkedModule {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}", ".")
	list.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("list the dependencies: %v", err)
	}
	var modules []linkedModule
	for line := range strings.Lines(string(out)) {
		if path, directory, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			modules = append(modules, linkedModule{path, directory})
		}
	}
	slices.SortFunc(modules, func(a, b linkedModule) int { return cmp.Compare(a.path, b.path) })
	return slices.Compact(modules)
}

// texts returns a module's license and notices.
func (m linkedModule) texts(t *testing.T) []string {
	t.Helper()
	var texts []string
	for _, pattern := range []string{"LICEN[CS]E*", "COPYING*", "NOTICE*", "PATENTS*"} {
		files, err := filepath.Glob(filepath.Join(m.directory, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, strings.ReplaceAll(string(text), "\r\n", "\n"))
		}
	}
	return texts
}
