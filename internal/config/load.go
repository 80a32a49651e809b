package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/provider"
)

// Load reads and checks a file. It gives the File, or every fault found in it, never both and
// never neither. It opens the certificate, key and secret files that the document
// names only to look at their permissions and form.
func Load(path string, catalog Catalog) (*File, Faults) {
	data, fault := read(path)
	if fault != nil {
		return nil, Faults{*fault}
	}
	return Parse(path, data, catalog)
}

// Parse is Load for bytes already read; path names them in faults, and its folder is where
// relative paths in the document start.
func Parse(path string, data []byte, catalog Catalog) (*File, Faults) {
	c := &collector{file: path}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, Faults{{File: path, Found: "the file's folder cannot be found", Hint: "name the file with a full path: -c /etc/sallyport/sallyport.yaml"}}
	}
	root := c.document(data)
	if root == nil {
		return nil, c.finished(c.faults)
	}
	sum := sha256.Sum256(data)
	file := &File{Path: path, Dir: dir, Hash: hex.EncodeToString(sum[:])}
	b := &builder{collector: c, file: file, catalog: catalog, places: map[string]string{}}
	b.providers(root)
	c.findSecrets(root, data, b.catalog)
	c.walk(root, fileKeys())
	b.build(root)
	if len(c.faults) > 0 {
		return nil, c.finished(c.faults)
	}
	file.Warnings = c.finished(c.warnings)
	return file, nil
}

func providerHint(id string, catalog Catalog) string {
	if near, ok := Nearest(id, catalog.List()); ok {
		return "did you mean " + near + "?"
	}
	return "`sallyport providers list` shows the ids"
}

// KeystorePath gives the keystore that a file names, however much else in it is still faulty, because
// secrets are often stored before the file is whole. Without a file it is the default.
func KeystorePath(path string) (string, Faults) {
	file, faults := Places(path)
	if file == nil {
		return "", faults
	}
	return file.Keystore, nil
}

// Places gives where a file's store, data, audit log and keystore lie, however much else in it is faulty: a key must
// be revoked and a site frozen while somebody is still mending the file. Only those fields of the File are set. Without
// a file they are the defaults. Faults, beside a File or instead of it, say that the places are not certain.
func Places(path string) (*File, Faults) {
	c := &collector{file: path}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, Faults{{File: path, Found: "the file's folder cannot be found", Hint: "name the file with a full path"}}
	}
	root := missing
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		data, fault := read(path)
		if fault != nil {
			return nil, Faults{*fault}
		}
		if root = c.document(data); root == nil {
			return nil, c.finished(c.faults)
		}
	}
	b := &builder{collector: c, file: &File{Path: path, Dir: dir}}
	b.stores(root)
	return b.file, c.finished(c.faults)
}

// read reads at most MaxSize bytes of a regular file.
func read(path string) ([]byte, *Fault) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Fault{File: path, Found: "there is no such file", Hint: "write it (README.md has one to start from), or name another with -c FILE"}
	}
	if err != nil {
		return nil, &Fault{File: path, Found: "the file cannot be opened: " + cause(err), Hint: "check the file's owner and permissions"}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, &Fault{File: path, Found: "this is not a regular file", Hint: "name the YAML file itself with -c FILE"}
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, &Fault{File: path, Found: "the file cannot be read: " + cause(err), Hint: "check the disk"}
	}
	return data, nil
}

// cause is the system's reason without the path, which the fault names already.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// builder makes the File from a document whose shape was checked. It reports what is wrong with
// the meaning: places, hosts, modes, credentials, rules.
type builder struct {
	*collector
	file    *File
	catalog Catalog
	places  map[string]string // hosts and ports that are taken, and by which path
	// vaultNamed: the file names a Vault, with or without faults.
	vaultNamed bool
}

func (b *builder) build(root *value) {
	if root.form != mapping {
		return
	}
	b.listen(root.at("listen"))
	b.stores(root)
	b.file.SharedState = b.shared(root.at("shared_state"))
	b.sites(root.at("sites"))
	b.certificateNames(root.at("listen", "tls"))
	b.sdkNames(root.at("listen", "sdk"))
}

// resolve makes a path of the file absolute.
func (b *builder) resolve(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(b.file.Dir, path)
}

func (b *builder) stores(root *value) {
	b.store(root)
	b.file.Data = b.dataFolder(root)
	b.file.Audit = filepath.Join(b.file.Data, "audit")
	b.file.Certificates = filepath.Join(b.file.Data, "certificates")
	b.file.SDKAuthority = filepath.Join(b.file.Data, "sdk-ca")
	b.file.Keystore = filepath.Join(b.file.Data, "keystore.age")
	if keystore := root.at("secrets", "keystore").str(); keystore != "" {
		b.file.Keystore = b.resolve(keystore)
	}
	b.ages(root)
	b.vaultNamed = root.at("secrets", "vault").present()
	b.file.Vault = b.vault(root.at("secrets", "vault"))
}

// dataFolder is the folder for what grows.
func (b *builder) dataFolder(root *value) string {
	if data := root.at("data").str(); data != "" {
		return b.resolve(data)
	}
	return filepath.Dir(b.resolve(storeName(root))) // ./data, where the store is no file
}

// take claims a host or port for one part of the file.
func (b *builder) take(v *value, place, kind string) {
	if by, taken := b.places[place]; taken {
		b.fault(v, fmt.Sprintf("the %s %s is already taken by %s", kind, place, by), "give each its own")
		return
	}
	b.places[place] = v.path
}

// broken names a pack that cannot be loaded: one of the file's folder with its first faults, because
// its owner can mend them.
func (b *builder) broken(v *value, id string, err error) {
	if _, stat := os.Stat(filepath.Join(b.file.Providers, id)); b.file.Providers != "" && stat == nil {
		lines := strings.SplitN(err.Error(), "\n", 4)
		b.fault(v, strings.Join(lines[:min(len(lines), 3)], "; "), "mend it, or import it again: sallyport providers import --force; `sallyport providers show "+id+"` names everything")
		return
	}
	b.fault(v, fmt.Sprintf("the catalog's entry for %q cannot be used", id), "this is a defect of this build; report it with the output of `sallyport providers show "+id+"`")
}

// providersFolder is where imported providers lie unless the file says otherwise.
const providersFolder = "./providers"

// providers adds the packs of the file's own folder to the catalog.
func (b *builder) providers(root *value) {
	v := root.at("providers")
	folder, err := b.folder(v)
	switch {
	case err != nil:
		b.fault(v, "the folder "+v.shown()+" cannot be read: "+cause(err), "make it, or remove the key: `sallyport providers import` writes into "+providersFolder)
	case folder != "":
		catalog, err := b.catalog.With(os.DirFS(folder), provider.Loading{Only: called(root), CacheDir: filepath.Join(b.dataFolder(root), "cache", "contracts")})
		if err != nil {
			b.fault(v, err.Error(), "give every imported provider an id of its own")
		} else {
			b.catalog = catalog
		}
	}
	b.file.Catalog, b.file.Providers = b.catalog, folder
}

// called lists the operations that the file lets somebody call, by provider; nil is all of them.
func called(root *value) map[string][]string {
	only := map[string][]string{}
	for _, site := range root.at("sites").entries {
		for _, e := range site.value.at("connections").entries {
			id := e.value.at("provider").str()
			ids, known := only[id]
			if known && ids == nil {
				continue // all of them, by another connection
			}
			ids = append([]string{}, ids...)
			for _, rule := range e.value.at("browser").entries {
				ids = append(ids, rule.key)
			}
			for _, item := range e.value.at("backend").many() {
				ids = append(ids, item.str())
			}
			if only[id] = ids; slices.Contains(ids, "all") {
				only[id] = nil
			}
		}
	}
	return only
}

// folder is where imported packs lie; "" where there is no such folder and none is asked for.
func (b *builder) folder(v *value) (string, error) {
	name := v.str()
	if name == "" {
		name = providersFolder
	}
	folder := b.resolve(name)
	info, err := os.Stat(folder)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: folder, Err: errors.New("it is not a folder")}
	}
	if err != nil && v.str() == "" {
		return "", nil
	}
	return folder, err
}

// ProvidersFolder gives the folder of imported packs that belongs to a file, however much else in
// it is faulty; without a file it is the default. It need not exist. Faults, beside the folder or
// instead of it, say that it is not certain.
func ProvidersFolder(path string) (string, Faults) {
	c := &collector{file: path}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return "", Faults{{File: path, Found: "the file's folder cannot be found", Hint: "name the file with a full path"}}
	}
	root := missing
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		data, fault := read(path)
		if fault != nil {
			return "", Faults{*fault}
		}
		if root = c.document(data); root == nil {
			return "", c.finished(c.faults)
		}
	}
	b := &builder{collector: c, file: &File{Path: path, Dir: dir}}
	if name := root.at("providers").str(); name != "" {
		return b.resolve(name), c.finished(c.faults)
	}
	return b.resolve(providersFolder), c.finished(c.faults)
}

// pack finds the provider of a connection, or names the fault.
func (b *builder) pack(v *value) *provider.Pack {
	id := v.str()
	if id == "" {
		return nil
	}
	pack, err := b.catalog.Find(id)
	var unknown *provider.UnknownError
	switch {
	case errors.As(err, &unknown):
		b.fault(v, fmt.Sprintf("the catalog has no provider %q", id), providerHint(id, b.catalog))
		return nil
	case err != nil:
		b.broken(v, id, err)
		return nil
	}
	return pack
}
