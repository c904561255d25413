package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxBytes bounds all files of a configuration together. 40,000 real servers written out need 5 MB. Parsing needs a
// hundred bytes for each of them, in a file of nothing but short words.
const maxBytes = 8 << 20

// source is what has been read of a configuration's files.
type source struct {
	files  map[string]*hcl.File
	bodies []hcl.Body
	bytes  int
	budget budget

	directory string // names of files in the configuration are relative to it
}

// read reads the file at path, or the *.hcl files of the directory at path in the order of their names.
func (s *source) read(path string) hcl.Diagnostics {
	names, err := fileNames(path)
	if err != nil {
		return hcl.Diagnostics{problem(hcl.Range{}, "Cannot read the configuration", "%s. Say with -c where it is.", err)}
	}
	s.directory = filepath.Dir(names[0])
	var diags hcl.Diagnostics
	for _, name := range names {
		file, fileDiags := s.parse(name)
		diags = append(diags, fileDiags...)
		if file != nil {
			s.bodies = append(s.bodies, file.Body)
		}
	}
	return diags
}

// parse reads and parses one file.
func (s *source) parse(name string) (*hcl.File, hcl.Diagnostics) {
	text, err := s.load(name)
	if err != nil {
		return nil, hcl.Diagnostics{problem(hcl.Range{}, "Cannot read the configuration", "%s.", err)}
	}
	return s.parseText(name, text)
}

func (s *source) parseText(name string, text []byte) (*hcl.File, hcl.Diagnostics) {
	s.files[name] = &hcl.File{Bytes: text}
	file, diags := parseHCL(text, name)
	if diags.HasErrors() {
		if foreign := explainForeign(name, text); foreign != nil {
			return nil, foreign
		}
	}
	if file != nil {
		s.files[name] = file
		if body, ok := file.Body.(*hclsyntax.Body); ok {
			s.budget.limit(body)
		}
	}
	return file, diags
}

func parseHCL(text []byte, name string) (*hcl.File, hcl.Diagnostics) {
	if diags := checkNesting(text, name); diags.HasErrors() {
		return nil, diags
	}
	return hclsyntax.ParseConfig(text, name, hcl.InitialPos)
}

// load reads one file. What is no regular file is not opened: a pipe would be waited for.
func (s *source) load(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(file, int64(maxBytes-s.bytes)+1))
	if err != nil {
		return nil, err
	}
	s.bytes += len(text)
	if s.bytes > maxBytes {
		return nil, fmt.Errorf("%s: the configuration is larger than %d MiB", name, maxBytes>>20)
	}
	return text, nil
}

// fileNames returns the files that path stands for.
func fileNames(path string) ([]string, error) {
	info, err := os.Stat(path)
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
		return nil, fmt.Errorf("the directory %s has no file whose name ends in .hcl", path)
	}
	return names, nil
}
