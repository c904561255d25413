package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// maxBytes limits the total size of a configuration's files. 40,000 real servers written out need 5 MB. TestPeakOfALoad
// loads the most expensive files of that size.
const maxBytes = 8 << 20

// source is the content of a configuration's files.
type source struct {
	disk   *disk
	files  map[string]*sourceFile
	order  []*sourceFile
	bytes  int
	tokens int
	budget budget

	directory string // names of files in the configuration are relative to it
}

// sourceFile is the text of a file and the positions where it can be split.
type sourceFile struct {
	name   string
	text   []byte
	pieces []piece
	blocks []span
}

// read reads the file at path, or the *.hcl files of the directory at path in the order of their names.
func (s *source) read(path string) hcl.Diagnostics {
	names, err := s.disk.configFiles(path)
	if err != nil {
		return hcl.Diagnostics{problem(hcl.Range{}, "Cannot read the configuration", "%s. Use -c to name it.", err)}
	}
	s.directory = filepath.Dir(names[0])
	return s.readFiles(names)
}

func (s *source) readFiles(names []string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, name := range names {
		text, err := s.load(name)
		if err != nil {
			diags = append(diags, problem(hcl.Range{}, "Cannot read the configuration", "%s.", err))
			continue
		}
		diags = append(diags, s.add(name, text)...)
	}
	return diags
}

// add adds the text of a configuration file.
func (s *source) add(name string, text []byte) hcl.Diagnostics {
	scanned := scan(text, name)
	file := &sourceFile{name: name, text: text, pieces: scanned.pieces, blocks: scanned.blocks}
	s.files[name] = file
	s.order = append(s.order, file)
	s.budget.hold(languageBytes*scanned.language, hcl.Range{Filename: name})
	if s.tokens += scanned.tokens; s.tokens > maxTokens && len(scanned.faults) == 0 {
		scanned.tooLarge()
	}
	if len(scanned.faults) == 0 {
		return nil
	}
	if foreign := explainForeign(name, text); foreign != nil {
		return foreign
	}
	return scanned.faults
}

// variableFile reads a file of `name = value` lines.
func (s *source) variableFile(name string) (hcl.Body, hcl.Diagnostics) {
	text, err := s.load(name)
	if err != nil {
		return nil, hcl.Diagnostics{problem(hcl.Range{}, "Cannot read the configuration", "%s.", err)}
	}
	scanned := scan(text, name)
	s.files[name] = &sourceFile{name: name, text: text, blocks: scanned.blocks}
	if len(scanned.faults) > 0 {
		return nil, scanned.faults
	}
	body, diags := parseText(text, name, hcl.InitialPos)
	s.budget.limit(body)
	return body, diags
}

// load reads one file.
func (s *source) load(name string) ([]byte, error) {
	text, err := s.disk.read(name, maxBytes-s.bytes)
	if err != nil {
		return nil, err
	}
	s.bytes += len(text)
	if s.bytes > maxBytes {
		return nil, tooLong(name)
	}
	return text, nil
}

func tooLong(name string) error {
	return fmt.Errorf("%s: the configuration is larger than %d MiB", name, maxBytes>>20)
}

// digest identifies the texts of the files in the order of their names, wherever they are: that of two nodes is the same if
// they have the same files.
func (s *source) digest() string {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		text := s.files[name].text
		fmt.Fprintf(sum, "%d\n", len(text))
		sum.Write(text)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// fileNames returns the files of a path.
func fileNames(stat func(string) (os.FileInfo, error), path string) ([]string, error) {
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() || strings.HasPrefix(entry.Name(), ".") || filepath.Ext(entry.Name()) != ".hcl" {
			continue
		}
		names = append(names, filepath.Join(path, entry.Name()))
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("the directory %s has no *.hcl files", path)
	}
	return names, nil
}
