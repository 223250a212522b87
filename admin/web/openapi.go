package web

import (
	"net/http"

	"github.com/howdah/howdah/admin"
)

type object = map[string]any

// openAPI describes the commands' paths, made from the table of commands (OpenAPI 3.0).
func openAPI(w http.ResponseWriter, _ *http.Request) {
	answers := object{
		"200": object{"description": "the answer's columns and rows", "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/Table"}}}},
		"400": object{"description": "not understood"}, "401": object{"description": "log in"}, "403": object{"description": "the user may not"},
		"409": object{"description": "refused, or it did not succeed"},
		"501": object{"description": "this howdah cannot"},
	}
	paths := object{}
	for _, c := range admin.Commands() {
		path := object{"post": object{"summary": c.Summary, "operationId": c.Name, "responses": answers,
			"parameters": []object{{"name": "X-Howdah", "in": "header", "required": true, "schema": object{"type": "string"}}},
			"requestBody": object{"required": true, "content": object{"application/json": object{"schema": object{"type": "object",
				"properties": object{"args": object{"type": "array", "items": object{"type": "string"}, "maxItems": len(c.Args)}}}}}}}}
		if !c.Changes && len(c.Args) == 0 {
			path["get"] = object{"summary": c.Summary, "operationId": "get-" + c.Name, "responses": answers}
		}
		paths["/api/v1/"+c.Name] = path
	}
	send(w, http.StatusOK, object{
		"openapi": "3.0.3", "info": object{"title": "howdah", "version": "1"}, "paths": paths,
		"security": []object{{"basic": []string{}}},
		"components": object{
			"securitySchemes": object{"basic": object{"type": "http", "scheme": "basic"}},
			"schemas": object{"Table": object{"type": "object", "properties": object{
				"columns": object{"type": "array", "items": object{"type": "string"}},
				"rows":    object{"type": "array", "items": object{"type": "object"}}}}},
		},
	})
}
