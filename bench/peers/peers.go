package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"sallyport/bench/bodies"
	"sallyport/bench/engine"
	"sallyport/internal/schema/schematest"
)

// peers are the libraries that the engine is measured beside, each with Stripe's schemas
// prepared as well as it can.
type peers struct {
	santhosh map[string]*jsonschema.Schema
	kin      map[string]*openapi3.Schema
}

func newPeers() (*peers, error) {
	doc, err := schematest.Parse(bodies.Spec())
	if err != nil {
		return nil, err
	}
	// jsonschema knows no OpenAPI 3.0: nullable and the like are rewritten before.
	oracle, err := schematest.NewOracle(schematest.Modern(doc), schematest.OracleConfig{})
	if err != nil {
		return nil, fmt.Errorf("prepare jsonschema: %w", err)
	}
	spec, err := openapi3.NewLoader().LoadFromData(bodies.Spec())
	if err != nil {
		return nil, fmt.Errorf("prepare kin-openapi: %w", err)
	}
	path := spec.Paths.Find("/v1/payment_intents")
	p := &peers{santhosh: map[string]*jsonschema.Schema{}, kin: map[string]*openapi3.Schema{
		engine.Intent: spec.Components.Schemas["payment_intent"].Value,
		engine.List:   path.Get.Responses.Status(200).Value.Content["application/json"].Schema.Value,
		engine.Form:   path.Post.RequestBody.Value.Content["application/x-www-form-urlencoded"].Schema.Value,
	}}
	for _, pointer := range []string{engine.Intent, engine.List, engine.Form} {
		if p.santhosh[pointer], err = oracle.Compile(pointer); err != nil {
			return nil, fmt.Errorf("prepare jsonschema for %s: %w", pointer, err)
		}
	}
	return p, nil
}

// jsonschema decodes and validates.
func (p *peers) jsonschema(text []byte, pointer string) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return p.santhosh[pointer].Validate(v)
}

// kinOpenAPI decodes and validates.
func (p *peers) kinOpenAPI(text []byte, pointer string) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	return p.kin[pointer].VisitJSON(v)
}
