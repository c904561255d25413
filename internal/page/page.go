// Package page serves the live page: files that a browser needs nothing else for. They use the API.
package page

import (
	"embed"
	"net/http"

	"github.com/lvs-ha/lvs-ha/internal/api"
)

//go:embed index.html page.css page.js
var files embed.FS

// policy lets the page use its own files and the API only.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Pages are the files by path.
func Pages() api.Pages {
	return api.Pages{
		"/{$}":      file("index.html", "text/html; charset=utf-8"),
		"/page.css": file("page.css", "text/css; charset=utf-8"),
		"/page.js":  file("page.js", "text/javascript; charset=utf-8"),
	}
}

func file(name, contentType string) http.Handler {
	body, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		_, _ = w.Write(body) // the client may have disconnected
	})
}
