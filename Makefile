# The commands of the README, for those whose fingers say make. See ./run --help.
.PHONY: all build demo check bench install
all: build
build demo check bench:
	@./run $@
install:
	@./install.sh "$${PREFIX:-/usr/local}"
