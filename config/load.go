package config

import (
	"cmp"
	"os"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Options control the evaluation of a configuration. The zero value is for this host, without variables.
type Options struct {
	Node     string            // this node's name, overriding the `node` block
	Vars     map[string]string // values of variables; they override VarFiles and the environment
	VarFiles []string          // files of `name = value` lines; later ones override earlier ones

	LookupEnv func(string) (string, bool) // the environment; nil: os.LookupEnv
	Hostname  func() (string, error)      // nil: os.Hostname

	Stat        func(name string) (os.FileInfo, error) // called before a file is opened; nil: os.Stat
	ReadTimeout time.Duration                          // limits the total time that file systems may take; 0: 5 s

	spent int // units of the budget already used, in tests
}

// Load reads the configuration at path, a file or a directory of *.hcl files, for the node of the options. It accesses
// only these files and those that they name, and waits at most a few seconds for file systems. All problems are found in
// one run; the configuration is nil if one of them is an error.
func Load(path string, o Options) (*Config, *Diagnostics) {
	return load(o, func(s *source) hcl.Diagnostics { return s.read(path) })
}

// LoadText reads a configuration that is not in a file; name is its name in messages.
func LoadText(name string, text []byte, o Options) (*Config, *Diagnostics) {
	return load(o, func(s *source) hcl.Diagnostics {
		return s.add(name, text)
	})
}

func load(o Options, read func(*source) hcl.Diagnostics) (*Config, *Diagnostics) {
	defer limitMemory()()
	l := newLoader(o)
	l.diags = read(&l.source)
	l.isSyntax = l.diags.HasErrors()
	cfg := l.load()
	diags := &Diagnostics{list: tidy(l.diags), sources: l.source.files, secrets: l.secrets, isSyntax: l.isSyntax}
	if diags.HasErrors() {
		return nil, diags
	}
	return cfg, diags
}

func newLoader(o Options) *loader {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	l := &loader{
		options: o,
		source:  source{disk: newDisk(o.Stat, cmp.Or(o.ReadTimeout, readTimeout)), files: map[string]*sourceFile{}},
		secrets: newSecrets(),
	}
	l.context = &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: functions(o, &l.source.budget)}
	l.source.budget.functions, l.source.budget.units = l.context.Functions, o.spent
	return l
}

// maxFindings is the number of findings after which checking stops: the file is unusable or unrelated.
const maxFindings = 2_000

// loader is one run of Load.
type loader struct {
	options Options
	source  source
	secrets secrets
	context *hcl.EvalContext
	diags   hcl.Diagnostics

	isSyntax   bool     // diags are syntax errors: the secrets have not been found
	localNames []string // names of all local values, sorted
}

func (l *loader) load() *Config {
	if l.diags.HasErrors() {
		return nil // further messages about invalid syntax would be misleading
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
		l.source.budget.passing = 0
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
	l.diags = append(l.diags, readNotifyFiles(&f, &l.source, authorities)...)
	l.diags = l.explain(l.diags, l.context)
	if l.diags.HasErrors() {
		return nil
	}
	cfg := f.config(node)
	cfg.Digest = l.source.digest()
	if len(authorities) > 0 {
		cfg.CAFiles = authorities
	}
	cfg.LinkFiles()
	return cfg
}

// languageBodies parses the blocks that provide values for the others.
func (l *loader) languageBodies() (bodies []hcl.Body, syntax hcl.Diagnostics) {
	for body, diags := range l.source.parsed(true) {
		bodies = append(bodies, body.Body)
		if syntax = append(syntax, diags...); len(syntax) > maxFaults {
			break
		}
	}
	return bodies, syntax
}

// checkForEach rejects values that a dynamic block cannot iterate over.
func (l *loader) checkForEach(value cty.Value, expr hcl.Expression, _ *hcl.EvalContext) hcl.Diagnostics {
	if !value.IsKnown() {
		return hcl.Diagnostics{consequence(expr.Range())}
	}
	if !value.IsNull() && value.CanIterateElements() && (!l.source.budget.spend(blockUnits*value.LengthInt(), expr.Range()) || !l.source.budget.pass(dynamicBytes*value.LengthInt(), expr.Range())) {
		return hcl.Diagnostics{consequence(expr.Range())}
	}
	return nil
}
