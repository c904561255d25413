package convert

import (
	"strings"
)

// fewest is how many services in a row become one dynamic block: two of them read better as they are.
const fewest = 3

// group makes one dynamic block of services that follow one another and differ only in their address or mark.
func group(root *block) (grouped *block, any bool) {
	grouped = &block{}
	for i := 0; i < len(root.items); {
		end := i + 1
		if key := root.items[i].shared(); key != "" {
			for end < len(root.items) && root.items[end].shared() == key {
				end++
			}
		}
		if end-i < fewest {
			grouped.items = append(grouped.items, root.items[i:end]...)
		} else {
			grouped.add(dynamic(root.items[i:end]))
			any = true
		}
		i = end
	}
	return grouped, any
}

// shared returns the text of a service without what makes it different from others; "" if it is none.
func (i item) shared() string {
	if i.block == nil || i.block.kind != "virtual_service" || len(i.block.items) == 0 || i.block.items[0].several() {
		return ""
	}
	return i.block.items[0].name + "\n" + printed(i.block.items[1:])
}

// several reports whether an item is no address or mark, or one with comments, or a different one on each node.
func (i item) several() bool {
	return i.name != "address" && i.name != "mark" || len(i.notes.lines()) > 0 || strings.HasPrefix(i.value, "{")
}

func dynamic(services []item) *block {
	first := services[0].block
	d := &block{kind: "dynamic", label: "virtual_service", notes: notes{above: services[0].notes.above, from: services[0].notes.from}}
	var rows []endpointRow
	for i, s := range services {
		r := endpointRow{label: s.block.label, value: s.block.items[0].value, notes: s.notes}
		if i == 0 {
			r.notes.above = nil
		}
		rows = append(rows, r)
	}
	forEach(d, rows)
	content := d.add(&block{kind: "content"})
	content.set(first.items[0].name, "virtual_service.value", notes{})
	content.items = append(content.items, first.items[1:]...)
	return d
}

// endpointRow is an element of for_each.
type endpointRow struct {
	label, value string
	notes
}

// forEach sets the elements of a dynamic block of services: a list, or with names that are not the addresses an object.
func forEach(d *block, rows []endpointRow) {
	named := false
	for _, r := range rows {
		named = named || r.value != quote(r.label)
	}
	element, brackets := "virtual_service.value", "[]"
	if named {
		element, brackets = "virtual_service.key", "{}"
	}
	lines := []string{brackets[:1]}
	for _, r := range rows {
		line := r.value + ","
		if named {
			line = quote(r.label) + objectMark + r.value
		}
		if r.trailing != "" {
			line += trailingMark + r.trailing
		}
		lines = append(append(lines, rowComments(r.above)...), line)
	}
	d.set("for_each", strings.Join(append(lines, brackets[1:]), "\n"), notes{})
	d.set("labels", "["+element+"]", notes{})
}

// rowComments writes comments within an expression with several lines.
func rowComments(above []string) (rows []string) {
	for _, c := range above {
		if c != "" {
			rows = append(rows, "# "+printable(c))
		}
	}
	return rows
}
