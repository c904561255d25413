package config

import (
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
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

	spent int // units of the budget that are gone already, in tests
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
	}
	l.context = &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: functions(o, &l.source.budget)}
	l.source.budget.functions, l.source.budget.units = l.context.Functions, o.spent
	l.diags = read(&l.source)
	l.isSyntax = l.diags.HasErrors()
	cfg := l.load()
	diags := &Diagnostics{list: tidy(l.diags), sources: l.source.files, secrets: l.secrets, isSyntax: l.isSyntax}
	if diags.HasErrors() {
		return nil, diags
	}
	return cfg, diags
}

// maxFindings is how many findings end the search for more: the configuration is wrong everywhere, or none of ours.
const maxFindings = 2_000

// loader is one run of Load.
type loader struct {
	options Options
	source  source
	secrets secrets
	context *hcl.EvalContext
	diags   hcl.Diagnostics

	isSyntax   bool     // diags are of the syntax: the secrets have not been found
	localNames []string // of all local values, sorted
}

func (l *loader) load() *Config {
	if l.diags.HasErrors() {
		return nil // what a broken syntax seems to mean is not worth a message
	}
	bodies, syntax := l.languageBodies()
	var lang languageBlocks
	decoder := &decoder{secrets: &l.secrets, budget: &l.source.budget, directory: l.source.directory}
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
	schema, unknown := Schema(), &unknownWords{}
	decoder.prepare = func(body *hclsyntax.Body, schema Block) hcl.Body {
		finder.body(body)
		unknown.trim(body, schema)
		return l.expand(body)
	}
	for body, diags := range l.source.parsed(false) {
		if syntax = append(syntax, diags...); len(syntax) > maxFaults {
			break
		}
		if syntax.HasErrors() {
			if body.stream != nil {
				syntax = append(syntax, body.stream.whole()...)
			}
			continue
		}
		decoder.stream, decoder.syntax = body.stream, nil
		if l.source.budget.stopped || len(l.diags) > maxFindings {
			finder.body(body.Body)
			continue
		}
		l.diags = append(l.diags, decoder.body(decoder.prepare(body.Body, schema), l.context, &f)...)
		syntax = append(syntax, decoder.syntax...)
	}
	if syntax.HasErrors() {
		l.diags, l.isSyntax = l.explain(syntax, l.context), true
		return nil
	}
	l.diags = append(l.diags, readAuthKeys(&f, &l.source)...)
	if l.diags = append(l.diags, l.source.budget.exceeded...); !l.source.budget.stopped && len(l.diags) <= maxFindings {
		for _, rule := range rules {
			if l.diags = append(l.diags, rule(&f)...); len(l.diags) > maxFindings {
				break
			}
		}
	}
	authorities, diags := readAuthorities(&f, &l.source)
	l.diags = append(l.diags, diags...)
	l.diags = l.explain(l.diags, l.context)
	if l.diags.HasErrors() {
		return nil
	}
	cfg := f.config(node)
	cfg.CAFiles = authorities
	cfg.LinkFiles()
	return cfg
}

// languageBodies parses what the rest is evaluated with.
func (l *loader) languageBodies() (bodies []hcl.Body, syntax hcl.Diagnostics) {
	for body, diags := range l.source.parsed(true) {
		bodies = append(bodies, body.Body)
		if syntax = append(syntax, diags...); len(syntax) > maxFaults {
			break
		}
	}
	return bodies, syntax
}

// checkForEach refuses what a dynamic block cannot be made of.
func (l *loader) checkForEach(value cty.Value, expr hcl.Expression, _ *hcl.EvalContext) hcl.Diagnostics {
	if !value.IsKnown() {
		return hcl.Diagnostics{consequence(expr.Range())}
	}
	if !value.IsNull() && value.CanIterateElements() && !l.source.budget.spend(blockUnits*value.LengthInt(), expr.Range()) {
		return hcl.Diagnostics{consequence(expr.Range())}
	}
	return nil
}
