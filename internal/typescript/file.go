package typescript

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/order"
	"sallyport/internal/problem"
)

// clientTypes are the declarations that are the same for every site.
//
//go:embed client.d.ts.txt
var clientTypes string

// writer writes the file of one site.
type writer struct {
	names       *names
	connections []*connection
	orders      []orderType // as they were first asked for
	b           strings.Builder
}

const indent = "  "

func (w *writer) file(site string, o Options) []byte {
	w.head(site, o)
	w.b.WriteString("declare module " + quote(ModuleName(site)) + " {\n")
	w.connectionTypes()
	w.b.WriteString("\n" + clientTypes + "\n")
	w.codes()
	w.orderTypes()
	w.operationTypes()
	w.b.WriteString("}\n")
	declared := map[string]bool{ModuleName(site): true}
	for _, name := range o.Modules {
		if declared[name] {
			continue
		}
		declared[name] = true
		w.b.WriteString("\ndeclare module " + quote(name) + " {\n" + indent + "export * from " + quote(ModuleName(site)) + ";\n}\n")
	}
	return []byte(w.b.String())
}

func (w *writer) head(site string, o Options) {
	lines := []string{
		"// What pages of the site " + quote(site) + " may do through client.js, from sallyport.yaml. The gate refuses all else.",
		"// Made by `" + clean(o.Command) + "`, sallyport " + clean(o.Version) + "; do not edit. Make it again when sallyport.yaml changes.",
	}
	if len(w.connections) == 0 {
		lines = append(lines, "// The file names no operation under browser:, so there is nothing to call.")
	}
	w.b.WriteString(strings.Join(lines, "\n") + "\n\n")
}

// connectionTypes writes the table of connections; the types of operations come later
// under the names that are given here.
func (w *writer) connectionTypes() {
	var table, public strings.Builder
	var all []string
	for _, c := range w.connections {
		all = append(all, quote(c.name))
		under := pascal(c.name)
		table.WriteString(indent + indent + comment([]string{clean(c.provider) + "."}, indent+indent) + key(c.name) + ": {\n")
		for _, op := range c.operations {
			op.paramsName, op.resultName = w.names.take(under+pascal(op.id)+"Params"), w.names.take(under+pascal(op.id)+"Result")
			at := indent + indent + indent
			arguments := w.arguments(op)
			table.WriteString(at)
			if len(op.doc) > 0 {
				table.WriteString(comment(op.doc, at))
			}
			table.WriteString(key(op.id) + ": { arguments: [" + arguments + "]; result: " + op.resultName + " };\n")
		}
		table.WriteString(indent + indent + "};\n")
		public.WriteString(indent + indent + key(c.name) + ": {" + publicNames(c.public) + "};\n")
	}
	if len(all) == 0 {
		all = []string{"never"}
	}
	w.b.WriteString(indent + "/** What a page may call: connections, and in each the operations. */\n" + indent + "export interface Connections {\n" + table.String() + indent + "}\n")
	w.b.WriteString(indent + "/** What stands under public: in the file. */\n" + indent + "export interface PublicValues {\n" + public.String() + indent + "}\n")
	w.b.WriteString(indent + "export type Connection = " + strings.Join(all, " | ") + ";\n")
}

// arguments are what call takes after the names of connection and operation.
func (w *writer) arguments(op *operation) string {
	options := ""
	if op.permit {
		options = "PermitOptions"
	}
	if op.order != nil {
		options = orElse(options, "CallOptions") + " & { order: " + w.orderName(op.order) + " }"
	}
	switch {
	case options != "" && op.needs:
		return "params: " + op.paramsName + ", options: " + options
	case options != "":
		return "params: " + op.paramsName + " | undefined, options: " + options
	case op.needs:
		return "params: " + op.paramsName + ", options?: CallOptions"
	}
	return "params?: " + op.paramsName + ", options?: CallOptions"
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// orderName gives the type of an order from a list; it is written once.
func (w *writer) orderName(l *order.List) string {
	for _, known := range w.orders {
		if known.list == l {
			return known.name
		}
	}
	name := w.names.take(pascal(l.Name) + "Order")
	w.orders = append(w.orders, orderType{list: l, name: name})
	return name
}

type orderType struct {
	list *order.List
	name string
}

// orderTypes writes what an order from each list may hold: how many of which item.
func (w *writer) orderTypes() {
	for _, o := range w.orders {
		w.b.WriteString("\n" + indent + comment([]string{fmt.Sprintf("How many of which item of the price list %s; at most %d pieces.", o.list.Name, o.list.Pieces)}, indent) +
			"export interface " + o.name + " {\n")
		for _, i := range o.list.Items {
			w.b.WriteString(indent + indent + comment([]string{fmt.Sprintf("%s a piece; at most %d.", o.list.Money(i.Amount), i.Max)}, indent+indent) + key(i.Name) + "?: number;\n")
		}
		w.b.WriteString(indent + "}\n")
	}
}

func publicNames(public map[string]string) string {
	text := ""
	for _, name := range sortedKeys(public) {
		text += " " + key(name) + ": string;"
	}
	if text != "" {
		text += " "
	}
	return text
}

// clientCodes are the codes that client.js makes itself.
var clientCodes = []string{"unreachable", "unreadable"}

func (w *writer) codes() {
	w.b.WriteString(indent + "/** The stable codes; docs/reference/problems.md says what to do about each. */\n" + indent + "export type ProblemCode =\n")
	var all []string
	for _, info := range problem.Codes() {
		all = append(all, quote(string(info.Code)))
	}
	for _, code := range clientCodes {
		all = append(all, quote(code))
	}
	slices.Sort(all)
	for i, line := range folded(strings.Join(all, " | "), width-8) {
		if i > 0 {
			w.b.WriteString("\n")
		}
		w.b.WriteString(indent + indent + line)
	}
	w.b.WriteString(";\n")
}

// operationTypes writes the parameters and the answer of each operation, and after them
// the types that several of them share.
func (w *writer) operationTypes() {
	for _, c := range w.connections {
		var roots []*shape
		for _, op := range c.operations {
			roots = append(roots, op.params, op.result)
		}
		p := &printer{class: classes(roots), names: w.names, named: map[int]string{}, under: pascal(c.name), open: map[int]bool{}}
		p.count(roots)
		for _, op := range c.operations {
			w.b.WriteString("\n" + p.declaration(op.paramsName, op.params, indent))
			w.b.WriteString(p.declaration(op.resultName, op.result, indent))
		}
		for i := 0; i < len(p.later); i++ { // it grows while it is written
			w.b.WriteString("\n" + p.declaration(p.later[i].name, p.later[i].shape, indent))
		}
	}
}
