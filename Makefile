# crossdock is built by this one file; there is no configure step. `make help` lists the targets.
#
# Each variant (release, debug, asan, ubsan, tsan, cover, ...) has a directory of its own under build/, with objects, the
# library libcrossdock.a (everything but src/main.c) and the test programs that link it. Sources are found by wildcard.
#
#   CC=clang       another compiler (objects are rebuilt)     OPT=-O3    another optimisation for the release
#   WERROR=1       warnings are errors (always so in CI)      V=1        show the commands
#   VARIANT=asan   build or test this variant, e.g. make unit VARIANT=asan

ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
PKG_CONFIG ?= pkg-config
VARIANT ?= release
PREFIX ?= /usr/local
OPT ?= -O2

B := build/$(VARIANT)
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
Q := $(if $(V),,@)

# All cores, unless the caller said how many.
ifeq ($(MAKELEVEL),0)
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2) --output-sync=target
endif
endif

# Goals that hand over to makes of their own take turns: two of those would write the same objects and the same library at once.
HANDING_OVER := check clang asan ubsan tsan cover unit golden conformance sim fault fuzz brokers crash crash-quick e2e test
ifneq ($(filter $(HANDING_OVER),$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

# ---- sources ------------------------------------------------------------------------------------------------------

SOURCES := $(sort $(wildcard src/*/*.c src/*/*/*.c))
ASSEMBLY := $(sort $(wildcard src/rt/*.S))

# Registries: kind:folder below src/:header. scripts/gen-catalog finds the entries in the folder.
CATALOGS := dialect:llm/dialect:llm/dialect.h sim_surface:sim/surface:sim/surface.h credential_kind:credential/kind:credential/kind.h \
	strategy:policy/strategy:policy/strategy.h journal_kind:store/journal:store/journal_int.h source_kind:pipeline/source:pipeline/spec/kind.h \
	node_kind:pipeline/node:pipeline/spec/kind.h sink_kind:pipeline/sink:pipeline/spec/kind.h
LIVE_CATALOGS := $(foreach c,$(CATALOGS),$(if $(wildcard src/$(word 2,$(subst :, ,$c))/*.c),$c))
CATALOG_SOURCES := $(foreach c,$(LIVE_CATALOGS),build/gen/$(word 1,$(subst :, ,$c))_catalog.c)
# What is known of vendors' models: a table that scripts/gen-model-book makes of these.
MODEL_BOOKS := $(sort $(wildcard src/fleet/prices/*.yaml))
CATALOG_SOURCES += build/gen/model_book_rows.c

UNIT_TESTS := $(sort $(wildcard tests/unit/*_test.c))
GOLDEN_TESTS := $(sort $(wildcard tests/golden/*.c))
SIM_TESTS := $(sort $(wildcard tests/sim/*.c))
FAULT_TESTS := $(sort $(wildcard tests/fault/*.c))
CONFORMANCE_TESTS := $(sort $(wildcard tests/conformance/*.c))
BROKER_TESTS := $(sort $(wildcard tests/brokers/*.c))
CRASH_TESTS := $(sort $(wildcard tests/crash/*.c))
BENCHES := $(sort $(wildcard bench/*.c))
FUZZ_TARGETS := $(sort $(basename $(notdir $(wildcard tests/fuzz/*.c))))

# What make test runs: a folder under tests/ makes a suite, and a suite without a test is a failure.
SUITES := $(foreach s,check unit golden conformance sim fault fuzz brokers crash e2e,$(if $(wildcard tests/$s/.),$s))

# Goals that work before anything is installed: those whose recipes begin with scripts/deps, and those that compile nothing.
INSTALLING := run example test brokers crash crash-quick e2e bench bench-pipeline soak
NO_BUILD := $(INSTALLING) clean help fmt docs uninstall
BUILDING := $(filter-out $(NO_BUILD),$(or $(MAKECMDGOALS),all))

# ---- libraries ----------------------------------------------------------------------------------------------------

comma := ,
PACKAGES := openssl libnghttp2 zlib libzstd libbrotlienc libbrotlidec libfyaml sqlite3 rdkafka libpq
# Young libraries come from build/deps where the distribution has none (scripts/deps).
DEPS := build/deps
PRIVATE := $(wildcard $(DEPS)/have-yyjson $(DEPS)/have-libllhttp)

LIB_CPPFLAGS := $(if $(PRIVATE),-isystem $(DEPS)/include)
LIB_LDFLAGS := $(if $(PRIVATE),-L$(DEPS)/lib)
# In the build tree the private libraries are found from where the program lies, once installed from beside it.
RPATH_BUILD := $(if $(PRIVATE),-Wl$(comma)-rpath$(comma)'$$ORIGIN/deps/lib:$$ORIGIN/../deps/lib')
RPATH_INSTALLED := $(if $(PRIVATE),-Wl$(comma)-rpath$(comma)'$$ORIGIN/../lib/crossdock')

ifneq ($(BUILDING),)
ifneq ($(shell $(PKG_CONFIG) --exists $(PACKAGES) && for l in yyjson libllhttp; do \
	[ -e $(DEPS)/have-$$l ] || $(PKG_CONFIG) --exists $$l || echo missing; done; echo $$?),0)
$(error Libraries are missing. `scripts/deps build` installs them; these goals do it by themselves: $(INSTALLING))
endif
LIB_CPPFLAGS += $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
# llhttp is always linked statically: it is small, hot, and its ABI changes with every version.
LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lyyjson -l:libllhttp.a -lm -ldl -pthread
endif

# ---- flags --------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wundef -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wimplicit-fallthrough
COMMON := -std=gnu17 -g -fno-omit-frame-pointer -fno-common -fvisibility=hidden -pthread
HARDEN := -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
LINK := -pthread -Wl,-z,relro,-z,now,--as-needed

# A fiber's stack is 256 KiB: frames are kept small. Sanitizers and -O0 make their own, larger ones.
# The program is optimised as a whole; objects hold machine code as well, for everything else that links them.
LTO := $(if $(findstring clang,$(CC)),,-flto=auto)
FLAGS_release := $(OPT) $(HARDEN) $(if $(LTO),-flto -ffat-lto-objects) -Wframe-larger-than=4096
# For what another compiler says of the source (clang, arm64): nothing that it makes is run.
FLAGS_clang := -O0
# As the release, laid out by what a training counted (GCC): what a request runs lies together, what it does not lies aside. It has the release's
# warnings; what a profile makes the compiler suspect besides is not so. Nothing else links its objects.
FLAGS_shipped := $(filter-out -ffat-lto-objects,$(FLAGS_release)) -w -fno-plt -fomit-frame-pointer $(if $(TRAINING),-fprofile-generate -fprofile-update=prefer-atomic,\
	-fprofile-use -fprofile-correction -fprofile-partial-training)
FLAGS_debug := -O0 -g3 -DCROSSDOCK_DEBUG=1 -fstack-clash-protection
FLAGS_asan := -O1 -DCROSSDOCK_DEBUG=1 -fsanitize=address
FLAGS_ubsan := -O1 -DCROSSDOCK_DEBUG=1 -fsanitize=undefined -fno-sanitize-recover=all
FLAGS_tsan := -O1 -fsanitize=thread
FLAGS_cover := -O0 --coverage -fprofile-update=atomic
FLAGS_fuzz := -O1 -DCROSSDOCK_DEBUG=1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FLAGS_stack := $(OPT) $(HARDEN) -fcallgraph-info=su
LINK_asan := -fsanitize=address
LINK_ubsan := -fsanitize=undefined
LINK_tsan := -fsanitize=thread
LINK_cover := --coverage
LINK_shipped := $(if $(TRAINING),-fprofile-generate)
LINK_fuzz := -fsanitize=fuzzer,address,undefined
ifeq ($(origin FLAGS_$(VARIANT)),undefined)
$(error There is no variant '$(VARIANT)')
endif

ifeq ($(CI),true)
WERROR ?= 1
endif
COLOR := $(if $(MAKE_TERMERR),-fdiagnostics-color=always)

ALL_CPPFLAGS = -D_GNU_SOURCE -Isrc -Ibuild/gen -Ibuild $(LIB_CPPFLAGS) $(CPPFLAGS)
ALL_CFLAGS = $(COMMON) $(FLAGS_$(VARIANT)) $(WARNINGS) $(CFLAGS)
# For tests and benches, which are no part of the program: they are not optimised with it as a whole, and may have large frames.
ASIDE_CFLAGS = $(filter-out -Wframe-larger-than=% -flto -ffat-lto-objects,$(ALL_CFLAGS))
ALL_LDFLAGS = $(LINK) $(LINK_$(VARIANT)) $(LIB_LDFLAGS) $(LDFLAGS)
# Our own code cannot use banned names; tests may.
SRC_ONLY := $(if $(wildcard src/base/banned.h),-include src/base/banned.h)
TEST_ONLY := -Itests -Itests/unit

# ---- what is made at the start --------------------------------------------------------------------------------------

ifneq ($(BUILDING),)
run-now = $(if $(shell { $(1); } >&2 || echo failed),$(error $(1) failed))
$(call run-now,scripts/gen-version build/gen/version.h)
$(foreach c,$(LIVE_CATALOGS),$(call run-now,scripts/gen-catalog $(word 1,$(subst :, ,$c)) \
	src/$(word 2,$(subst :, ,$c)) $(word 3,$(subst :, ,$c)) build/gen/$(word 1,$(subst :, ,$c))_catalog.c))
$(call run-now,scripts/gen-model-book build/gen/model_book_rows.c $(MODEL_BOOKS))

# These files change only when their text does; what depends on them is made anew then, and only then.
write-if-changed = $(call run-now,mkdir -p $(dir $(1)) && \
	{ echo '$(2)' | cmp -s - $(1) || echo '$(2)' >$(1); })
$(call write-if-changed,$(B)/flags,$(subst ','\'',$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS)))
$(call write-if-changed,$(B)/sources,$(SOURCES) $(ASSEMBLY) $(CATALOG_SOURCES))
# An object that was compiled with a warning is compiled again when warnings are errors.
$(if $(WERROR),$(call run-now,find $(B) -name '*.o.warnings' | sed 's/\.warnings$$//' | xargs -r rm -f))
endif

# ---- programs -------------------------------------------------------------------------------------------------------

OBJECTS := $(SOURCES:%.c=$(B)/%.o) $(ASSEMBLY:%.S=$(B)/%.S.o) $(CATALOG_SOURCES:build/%.c=$(B)/%.o)
LIBRARY := $(B)/libcrossdock.a
PROGRAM := $(if $(filter release,$(VARIANT)),build/crossdock,$(B)/crossdock)
TEST_PROGRAMS := $(if $(UNIT_TESTS),$(B)/unit) $(if $(GOLDEN_TESTS),$(B)/golden) $(if $(SIM_TESTS),$(B)/simtest) \
	$(if $(FAULT_TESTS),$(B)/fault) $(if $(CONFORMANCE_TESTS),$(B)/conformance) $(if $(BROKER_TESTS),$(B)/brokers) $(if $(CRASH_TESTS),$(B)/crash)

.PHONY: all
all: $(PROGRAM) ## the release program, build/crossdock
	@:

# The compiler's warnings are kept beside the object: a later `make check` must see them, too.
compile = $(Q)mkdir -p $(@D) && $(if $(V),echo '$(CC) $(subst ','\'',$(1)) -c $<' &&,echo '  CC   $(VARIANT) $<' &&) \
	{ $(CC) $(1) $(if $(WERROR),-Werror) $(COLOR) -MMD -MP -c -o $@ $< 2>$@.warnings || \
		{ cat $@.warnings >&2; rm -f $@.warnings; exit 1; }; } && \
	if [ -s $@.warnings ]; then cat $@.warnings >&2; else rm -f $@.warnings; fi
link = $(Q)echo '  LINK $@' && $(CC) $(ALL_CFLAGS) $(if $(3),$(3),-fno-lto) $(ALL_LDFLAGS) $(2) -o $@ $(1) $(LIBS)

$(B)/src/%.o: src/%.c $(B)/flags
	$(call compile,$(ALL_CPPFLAGS) $(SRC_ONLY) $(ALL_CFLAGS))
$(B)/src/%.S.o: src/%.S $(B)/flags
	$(call compile,$(ALL_CPPFLAGS) $(ALL_CFLAGS))
$(B)/gen/%.o: build/gen/%.c $(B)/flags
	$(call compile,$(ALL_CPPFLAGS) $(ALL_CFLAGS))
$(B)/tests/%.o: tests/%.c $(B)/flags
	$(call compile,$(ALL_CPPFLAGS) $(TEST_ONLY) $(ASIDE_CFLAGS))

$(B)/bench/%.o: bench/%.c $(B)/flags
	$(call compile,$(ALL_CPPFLAGS) $(ASIDE_CFLAGS))

$(LIBRARY): $(OBJECTS) $(B)/sources
	$(Q)rm -f $@ && $(AR) rcs $@ $(OBJECTS)

WHOLE := $(if $(filter release shipped,$(VARIANT)),$(LTO))
$(PROGRAM): $(B)/src/main.o $(LIBRARY)
	$(call link,$^,$(RPATH_BUILD),$(WHOLE))

# The runner has a weak main(): a folder may bring its own.
RUNNER := $(B)/tests/unit/runner.o
$(B)/unit: $(UNIT_TESTS:%.c=$(B)/%.o) $(RUNNER) $(LIBRARY)
	$(call link,$^,$(RPATH_BUILD))
$(B)/golden: $(GOLDEN_TESTS:%.c=$(B)/%.o) $(RUNNER) $(LIBRARY)
	$(call link,$^,$(RPATH_BUILD))
$(B)/simtest: $(SIM_TESTS:%.c=$(B)/%.o) $(RUNNER) $(LIBRARY)
	$(call link,$^,$(RPATH_BUILD))
$(B)/fault: $(FAULT_TESTS:%.c=$(B)/%.o) $(RUNNER) $(LIBRARY)
	$(call link,$^,$(RPATH_BUILD))
$(B)/conformance: $(CONFORMANCE_TESTS:%.c=$(B)/%.o) $(RUNNER) $(LIBRARY)
	$(call link,$^,$(RPATH_BUILD))
$(B)/brokers: $(BROKER_TESTS:%.c=$(B)/%.o) $(RUNNER) $(LIBRARY)
	$(call link,$^,$(RPATH_BUILD))
$(B)/crash: $(CRASH_TESTS:%.c=$(B)/%.o) $(RUNNER) $(LIBRARY)
	$(call link,$^,$(RPATH_BUILD))
$(B)/fuzz-%: $(B)/tests/fuzz/%.o $(LIBRARY)
	$(call link,$^,$(RPATH_BUILD))

# bench/x.c becomes build/<variant>/x. Only map_bench compares with libjq, where that is installed.
$(B)/map_bench: LIBS += $(if $(wildcard /usr/include/jq.h),-ljq)
BENCH_PROGRAMS := $(BENCHES:bench/%.c=$(B)/%)
$(BENCH_PROGRAMS): $(B)/%: $(B)/bench/%.o $(LIBRARY)
	$(call link,$^,$(RPATH_BUILD),$(if $(filter shipped,$(VARIANT)),$(LTO)))

-include $(wildcard $(B)/bench/*.d $(B)/src/*.d $(B)/src/*/*.d $(B)/src/*/*/*.d $(B)/gen/*.d $(B)/tests/*/*.d)

.PHONY: tests test-objects objects benches
benches: $(BENCH_PROGRAMS) # the programs of bench/
	@:
tests: $(TEST_PROGRAMS) # the test programs of this variant
	@:
test-objects: $(patsubst %.c,$(B)/%.o,$(UNIT_TESTS) $(GOLDEN_TESTS) $(SIM_TESTS) $(FAULT_TESTS) $(CONFORMANCE_TESTS) $(BROKER_TESTS) \
	$(CRASH_TESTS)) $(RUNNER) # the tests' objects only, no linking
	@:
objects: $(OBJECTS) $(if $(wildcard src/main.c),$(B)/src/main.o) # objects only, no linking
	@:

# ---- everyday -------------------------------------------------------------------------------------------------------

CONFIG ?= examples/quickstart.yaml

.PHONY: run
run: ## install what is missing, build, and serve examples/quickstart.yaml (CONFIG=another)
	+@scripts/deps run
	+@$(MAKE) --no-print-directory all
	+@exec build/crossdock serve --config $(CONFIG)

NAME ?=
KILLS ?= 0
.PHONY: example
example: ## run an example of examples/pipelines against real servers: NAME=triage (KILLS=3: the gateway is killed on the way)
	+@scripts/deps test
	+@$(MAKE) --no-print-directory all
	@scripts/example $(NAME) --kills $(KILLS)

# A training is as old as the sources that it ran.
build/shipped/trained: $(SOURCES) $(ASSEMBLY) $(wildcard src/*/*.h src/*/*/*.h) src/main.c bench/train
	+@$(MAKE) --no-print-directory VARIANT=shipped TRAINING=1 all
	@find build/shipped -name '*.gcda' -delete
	@CROSSDOCK=build/shipped/crossdock bench/train
	@touch $@

.PHONY: shipped
shipped: build/shipped/trained ## build/shipped/crossdock, optimised by the profile of a training (GCC; some minutes); `make install VARIANT=shipped`
	+@$(MAKE) --no-print-directory VARIANT=shipped all

.PHONY: debug
debug: ## the program without optimisation, build/debug/crossdock
	+@$(MAKE) --no-print-directory VARIANT=debug all

.PHONY: test
test: ## install what is missing, then run every check and every suite
	+@scripts/deps test
	+@scripts/test static $(SUITES)

.PHONY: check
check: ## the gate before a commit, some two minutes on two processors: checks of the source, unit, golden, a short simulation
	+@scripts/test --quick static $(filter check unit golden sim,$(SUITES))

.PHONY: unit golden conformance
unit golden conformance: ## one suite of tests; T= runs those whose name has this in it
	+@$(MAKE) --no-print-directory $(B)/$@
	@$(B)/$@ $(if $(SEED),--seed $(SEED)) $(T)

SEED ?=
SEEDS ?= 2000
.PHONY: sim
sim: ## simulate SEEDS=2000 worlds, or with SEED= just that one
	+@$(MAKE) --no-print-directory $(B)/simtest
	@$(B)/simtest $(if $(SEED),--seed $(SEED) --rounds 1,--seed random --rounds $(SEEDS)) $(T)

.PHONY: fault
fault: ## fail every allocation and every call to the kernel in turn, without leaving any out
	+@$(MAKE) --no-print-directory $(B)/fault
	@$(B)/fault $(T)

.PHONY: brokers
brokers: ## clients of other systems against real servers of those (VARIANT=asan; T= as for unit)
	+@scripts/deps test
	+@$(MAKE) --no-print-directory $(B)/brokers
	@tests/brokers/run $(B)/brokers $(if $(SEED),--seed $(SEED)) $(T)

.PHONY: crash crash-quick
crash: ## pipelines killed at every boundary, each sink and source held to what it promises (T= as for unit)
	+@scripts/deps test
	+@$(MAKE) --no-print-directory $(B)/crash
	@tests/brokers/run $(B)/crash $(T)
crash-quick: ## the same, thinned out: the first and the last moment of each boundary, and some between
	+@scripts/deps test
	+@$(MAKE) --no-print-directory $(B)/crash
	@tests/brokers/run $(B)/crash --step 40 $(T)

.PHONY: e2e
e2e: ## real SDK clients against the program (VARIANT=asan for that one)
	+@scripts/deps test
	+@scripts/test --variant $(VARIANT) e2e

# ---- sanitizers -----------------------------------------------------------------------------------------------------

SANITIZED := $(filter unit golden sim,$(SUITES))

.PHONY: asan
asan: ## unit, golden and a short simulation under AddressSanitizer, with and without use-after-return detection
	+@ASAN_OPTIONS=detect_stack_use_after_return=1 scripts/test --variant asan $(SANITIZED)
	+@ASAN_OPTIONS=detect_stack_use_after_return=0 scripts/test --variant asan $(SANITIZED)

.PHONY: ubsan
ubsan: ## the same under UndefinedBehaviorSanitizer
	+@scripts/test --variant ubsan $(SANITIZED)

.PHONY: tsan
tsan: ## the same under ThreadSanitizer; of the simulation no world with hours of traffic
	+@scripts/test --variant tsan $(SANITIZED)

.PHONY: valgrind
valgrind: ## the unit tests of the debug build under valgrind
	+@$(MAKE) --no-print-directory VARIANT=debug build/debug/unit
	@valgrind --quiet --error-exitcode=9 --leak-check=full build/debug/unit $(T)

# ---- fuzzing --------------------------------------------------------------------------------------------------------

SECS ?= 60

.PHONY: fuzz
fuzz: ## fuzz one target for a while: T=name SECS=60 (0 for ever)
	+@scripts/fuzz $(SECS) $(or $(T),$(error make fuzz needs T=, one of: $(FUZZ_TARGETS)))

.PHONY: fuzz-smoke
fuzz-smoke: ## every fuzz target on its corpus and for a few seconds more
	+@scripts/fuzz 3 $(FUZZ_TARGETS)

# ---- measuring ------------------------------------------------------------------------------------------------------

# Benches whose figures are those of code within themselves.
WITHIN := journal_bench jsonschema_bench map_bench
.PHONY: shipped-benches
shipped-benches: shipped
	+@$(MAKE) --no-print-directory VARIANT=shipped $(WITHIN:%=build/shipped/%)

.PHONY: bench
bench: ## measure against nginx and against ourselves; see bench/run
	+@scripts/deps bench
	+@$(MAKE) --no-print-directory all benches shipped-benches
	@CROSSDOCK=build/shipped/crossdock PATH="$(CURDIR)/build/deps/bin:$$PATH" bench/run $(ARGS)

.PHONY: bench-pipeline
bench-pipeline: ## measure pipelines: beside a plain loop of librdkafka, SQLite, libjq; figures 14 to 19 of bench/run
	+@scripts/deps bench
	+@$(MAKE) --no-print-directory all benches shipped-benches
	@CROSSDOCK=build/shipped/crossdock bench/run $(ARGS) 14 15 16 17 18 19

.PHONY: soak
soak: ## ten minutes of mixed load with faults, watching memory and errors; see bench/soak
	+@scripts/deps bench
	+@$(MAKE) --no-print-directory all benches
	@PATH="$(CURDIR)/build/deps/bin:$$PATH" bench/soak $(ARGS)

.PHONY: stack
stack: ## stack that fibers need: frames, chains of calls, recursion, and what the test suites' fibers reached
	+@$(MAKE) --no-print-directory VARIANT=stack CC=gcc objects
	+@$(MAKE) --no-print-directory $(addprefix $(B)/,unit golden simtest)
	@scripts/stack build/stack $(B)

.PHONY: cover
cover: ## line and branch coverage of unit, golden and simulation
	+@find build/cover -name '*.gcda' -delete 2>/dev/null || true
	+@scripts/test --variant cover $(SANITIZED) || true
	@scripts/cover build/cover

# ---- looking after the source ---------------------------------------------------------------------------------------

.PHONY: fmt
fmt: ## format the C sources in place
	@scripts/format --write

.PHONY: tidy
tidy: build/gen/version.h ## clang-tidy over src/
	+@scripts/tidy -- $(ALL_CPPFLAGS) -std=gnu17 $(WARNINGS)

.PHONY: clang
clang: ## everything compiled by clang, warnings as errors
	+@$(MAKE) --no-print-directory VARIANT=fuzz CC=clang WERROR=1 objects # those that are fuzzed
	+@$(MAKE) --no-print-directory VARIANT=clang CC=clang WERROR=1 test-objects

.PHONY: docs
docs: ## reference of the internal interfaces from the headers, into build/docs
	@scripts/gen-docs build/docs

.PHONY: reference
reference: all ## what the program prints of itself, into the documents that hold it
	@scripts/update-docs build/crossdock

CROSS ?= aarch64-linux-gnu-gcc
.PHONY: arm64
arm64: ## compile everything for arm64 (no linking)
	+@scripts/arm64 $(CROSS) $(SOURCES) $(ASSEMBLY) $(CATALOG_SOURCES) $(wildcard src/main.c) -- \
		$(COMMON) $(FLAGS_clang) $(WARNINGS) -Werror -D_GNU_SOURCE -Isrc -Ibuild/gen -Ibuild $(CPPFLAGS)

# ---- installing -----------------------------------------------------------------------------------------------------

# Linked again for the place it goes to: the build tree's library path must not be in an installed program.
$(B)/installed/crossdock: $(B)/src/main.o $(LIBRARY)
	$(Q)mkdir -p $(@D)
	$(call link,$^,$(RPATH_INSTALLED),$(WHOLE))

.PHONY: install
install: $(B)/installed/crossdock ## into PREFIX=/usr/local (below DESTDIR, if that is set)
	install -D -m 755 $< $(DESTDIR)$(PREFIX)/bin/crossdock
	$(if $(PRIVATE),install -d $(DESTDIR)$(PREFIX)/lib/crossdock)
	$(if $(PRIVATE),cp -a $(DEPS)/lib/lib*.so.* $(DESTDIR)$(PREFIX)/lib/crossdock/)
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/crossdock/LICENSE

.PHONY: uninstall
uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/crossdock
	rm -rf $(DESTDIR)$(PREFIX)/lib/crossdock $(DESTDIR)$(PREFIX)/share/doc/crossdock

.PHONY: clean
clean: ## remove what was built (installed tools and libraries under build/ stay; `rm -r build` takes them, too)
	rm -rf $(filter-out build/deps build/venv%,$(wildcard build/*))

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9 -]*\):[^=#]*## \(.*\)/\1\t\2/p' Makefile | sort | awk -F '\t' '{ printf "  %-14s %s\n", $$1, $$2 }'
