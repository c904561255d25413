package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestHostNamespaceNumberStays checks that an open namespace which another process removes is not taken for a new one: the
// processes of that one would be killed.
func TestHostNamespaceNumberStays(t *testing.T) {
	Need(t, Host)
	var numbers []uint64
	for i := range 2 {
		name := fmt.Sprintf("number-%d-%d-a", os.Getpid(), i)
		handle, err := makeNamespace(name)
		if err != nil {
			t.Fatal(err)
		}
		handle.Close()
		file, id, err := openNamespace(filepath.Join(namespaceDir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		numbers = append(numbers, id.Ino)
		if err := removeNamespace(name); err != nil {
			t.Fatal(err)
		}
	}
	if numbers[0] == numbers[1] {
		t.Errorf("both have the number %d", numbers[0])
	}
}
