# Sallyport. `make test` on a fresh Debian machine with Go does everything.

GO ?= go
PKGS = ./...
# Packages whose work is concurrency: tested under the race detector as well.
RACE = ./internal/audit/... ./internal/contract/... ./internal/egress/... ./internal/ingress/... ./internal/mock/... \
       ./internal/outbound/... ./internal/permit/... ./internal/ratelimit/... ./internal/receipt/... ./internal/secret/... ./internal/session/... ./internal/store/... ./internal/tape/...

.PHONY: build test check unit race e2e demo torture deps bench

build:
	$(GO) build -trimpath -o bin/sallyport ./cmd/sallyport

test: deps check unit race

check:
	@fmt=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$fmt" || { echo "gofmt: $$fmt"; exit 1; }
	$(GO) vet $(PKGS)
	$(GO) tool staticcheck $(PKGS)

unit:
	$(GO) test -count=1 -timeout 20m $(PKGS)

race:
	$(GO) test -race -short -count=1 -timeout 20m $(RACE)

demo:
	$(GO) run ./cmd/sallyport demo

# The long forms of loops, mutations and fuzzing; figures go into docs/figures.md with their date.
torture: deps
	SALLYPORT_TORTURE=1 $(GO) test -count=1 -timeout 60m -v ./internal/audit ./internal/contract ./internal/egress ./internal/importer ./internal/outbound ./internal/schema ./internal/store/sqlite ./internal/store/postgres ./internal/webhook/... ./test/e2e
	./scripts/fuzz 60s

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./bench/...
	cd bench/peers && $(GO) run .

# What the tests need besides Go (scripts/deps lists it). Installs only what is missing, starts no service.
deps:
	./scripts/deps
