package config

import (
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/zclconf/go-cty/cty"
)

// Options say what a configuration is read for. The zero value reads it for this machine, without variables.
type Options struct {
	Node     string            // the name of this node, in place of what the `node` block says
	Vars     map[string]string // values of variables; they override VarFiles and the environment
	VarFiles []string          // files of `name = value` lines; a later one overrides an earlier

	LookupEnv func(string) (string, bool) // the environment; nil: os.LookupEnv
	Hostname  func() (string, error)      // nil: os.Hostname

	Stat func(name string) (os.FileInfo, error) // asked before a file is opened; nil: os.Stat
}

// Load reads the configuration at path, a file or a directory of *.hcl files, as the node of the options sees it. It
// touches nothing but these files and those that they name, and waits for no file system for more than some seconds. All problems are found in one run; the configuration is nil if one is an error.
func Load(path string, o Options) (*Config, *Diagnostics) {
	return load(o, func(s *source) hcl.Diagnostics { return s.read(path) })
}

// LoadText reads a configuration that is in no file yet; name is what problems call it.
func LoadText(name string, text []byte, o Options) (*Config, *Diagnostics) {
	return load(o, func(s *source) hcl.Diagnostics {
		return s.add(name, text)
	})
}

func load(o Options, read func(*source) hcl.Diagnostics) (*Config, *Diagnostics) {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	l := &loader{
		options: o,
		source:  source{disk: newDisk(o.Stat), files: map[string]*sourceFile{}},
		secrets: newSecrets(),
		context: &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: functions(o)},
	}
	l.diags = read(&l.source)
	cfg := l.load()
	diags := &Diagnostics{list: tidy(l.diags), sources: l.source.files, secrets: l.secrets}
	if diags.HasErrors() {
		return nil, diags
	}
	return cfg, diags
}

// loader is one run of Load.
type loader struct {
	options Options
	source  source
	secrets secrets
	context *hcl.EvalContext
	diags   hcl.Diagnostics
}

func (l *loader) load() *Config {
	if l.diags.HasErrors() {
		return nil // what a broken syntax seems to mean is not worth a message
	}
	bodies, syntax := l.languageBodies()
	var lang languageBlocks
	decoder := &decoder{secrets: &l.secrets}
	l.diags = append(l.diags, decoder.body(hcl.MergeBodies(bodies), l.context, &lang)...)
	defaults := l.variables(lang.Variables)
	node := l.node(lang.Node)
	locals := l.locals(lang.Locals)

	finder := secretFinder{
		found: &l.secrets, variables: defaults, locals: locals,
		values: l.context.Variables["var"].AsValueMap(), seen: map[hcl.Expression]bool{},
	}
	for _, body := range bodies {
		finder.body(body)
	}

	var f file
	for body, diags := range l.source.parsed(false) {
		if syntax = append(syntax, diags...); len(syntax) > maxFaults {
			break
		}
		if syntax.HasErrors() {
			continue
		}
		finder.body(body)
		expanded := dynblock.Expand(body, l.context, dynblock.OptCheckForEach(checkForEach))
		l.diags = append(l.diags, decoder.body(expanded, l.context, &f)...)
	}
	if syntax.HasErrors() {
		l.diags = explain(syntax, l.context, l.source.files)
		return nil
	}
	for _, rule := range rules {
		l.diags = append(l.diags, rule(&f)...)
	}
	authorities, diags := readAuthorities(&f, &l.source)
	l.diags = append(l.diags, diags...)
	l.diags = append(l.diags, l.source.budget.exceeded...)
	l.diags = explain(l.diags, l.context, l.source.files)
	if l.diags.HasErrors() {
		return nil
	}
	cfg := f.config(node, l.source.directory)
	cfg.CAFiles = authorities
	cfg.LinkFiles()
	return cfg
}

// languageBodies parses what the rest is evaluated with.
func (l *loader) languageBodies() (bodies []hcl.Body, syntax hcl.Diagnostics) {
	for body, diags := range l.source.parsed(true) {
		bodies = append(bodies, body)
		if syntax = append(syntax, diags...); len(syntax) > maxFaults {
			break
		}
	}
	return bodies, syntax
}

// maxDynamic bounds how many blocks a dynamic block makes.
const maxDynamic = 100_000

// checkForEach refuses what a dynamic block cannot be made of.
func checkForEach(value cty.Value, expr hcl.Expression, _ *hcl.EvalContext) hcl.Diagnostics {
	if !value.IsKnown() {
		return hcl.Diagnostics{consequence(expr.Range())}
	}
	if !value.IsNull() && value.CanIterateElements() && value.LengthInt() > maxDynamic {
		return hcl.Diagnostics{problem(expr.Range(), "Too many blocks",
			"This would make %d blocks; %d are the most.", value.LengthInt(), maxDynamic)}
	}
	return nil
}
