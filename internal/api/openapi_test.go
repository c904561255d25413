package api

import (
	"encoding"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3gen"
)

var update = flag.Bool("update", false, "rewrite docs/openapi.json")

const document = "../../docs/openapi.json"

// TestOpenAPI compares docs/openapi.json, and the table in docs/api.md, with the routes and their types, and validates the
// document.
func TestOpenAPI(t *testing.T) {
	doc := openAPI(t)
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	want, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(document, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s does not fit the API: run go test ./internal/api -run '^TestOpenAPI$' -update", document)
	}
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes(nil, nil) {
		if row := "| `" + r.method + " " + strings.ReplaceAll(r.path, "{name}", "NAME") + "` |"; !strings.Contains(string(page), row) {
			t.Errorf("docs/api.md lacks %s", row)
		}
	}
}

// openAPI describes the routes in the OpenAPI format.
func openAPI(t *testing.T) *openapi3.T {
	t.Helper()
	doc := &openapi3.T{
		OpenAPI: "3.0.3", Info: &openapi3.Info{
			Title: "lvs-ha", Version: "1", Description: "The API of a running lvs-ha; see docs/api.md. New fields may be added.",
			License: &openapi3.License{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"},
		},
		Servers: openapi3.Servers{{URL: "https://director:9181"}}, Paths: openapi3.NewPaths(),
		Components: &openapi3.Components{Schemas: openapi3.Schemas{}, SecuritySchemes: openapi3.SecuritySchemes{
			"token": {Value: openapi3.NewSecurityScheme().WithType("http").WithScheme("bearer")},
		}},
		Security: *openapi3.NewSecurityRequirements().With(openapi3.NewSecurityRequirement().Authenticate("token")),
	}
	generator := openapi3gen.NewGenerator(openapi3gen.SchemaCustomizer(textual))
	schema := func(value any) *openapi3.SchemaRef {
		ref, err := generator.NewSchemaRefForValue(value, doc.Components.Schemas)
		if err != nil {
			t.Fatalf("%T: %v", value, err)
		}
		return ref
	}
	failed := schema(failure{})
	for _, r := range routes(nil, nil) {
		about, problem := r.about, "an error"
		responses := openapi3.NewResponses(
			openapi3.WithStatus(http.StatusOK, &openapi3.ResponseRef{Value: openapi3.NewResponse().WithDescription(about).WithJSONSchemaRef(schema(r.gives))}),
			openapi3.WithName("default", openapi3.NewResponse().WithDescription(problem).WithJSONSchemaRef(failed)),
		)
		op := &openapi3.Operation{
			OperationID: strings.ToLower(r.method) + strings.NewReplacer("/v1/", "_", "/", "_", "{", "", "}", "").Replace(r.path), Summary: about, Responses: responses,
		}
		for _, name := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(r.path, -1) {
			op.AddParameter(openapi3.NewPathParameter(name[1]).WithSchema(openapi3.NewStringSchema()))
		}
		for _, name := range r.parameters {
			op.AddParameter(openapi3.NewQueryParameter(name).WithSchema(openapi3.NewStringSchema()))
		}
		if r.takes != nil {
			op.RequestBody = &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().WithJSONSchemaRef(schema(r.takes))}
		}
		doc.AddOperation(r.path, r.method, op)
	}
	return doc
}

// textual describes types that encode themselves as text as strings.
func textual(_ string, t reflect.Type, _ reflect.StructTag, schema *openapi3.Schema) error {
	text := reflect.TypeFor[encoding.TextMarshaler]()
	if t.Implements(text) && t.PkgPath() != "time" {
		*schema = *openapi3.NewStringSchema()
	}
	return nil
}
