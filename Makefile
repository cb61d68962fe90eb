# Reading Handwritten Digits: every task of the project. `make` alone lists them.
# Works with GNU make 3.81 or later; Windows users find their commands in README.md.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed-in
BOOK   := _build/html/index.html
# make book SOLUTIONS=no builds another one, from sources without the solutions of the exercises.
ifeq ($(SOLUTIONS),no)
PLAIN  := _build/without-solutions
BOOK   := $(PLAIN)/_build/html/index.html
endif
LABCONFIG := $(VENV)/etc/jupyter/labconfig/page_config.json
TOOL    = $(BIN)/python -m tools.

# PyTorch's build. `make book TORCH_BACKEND=cpu` takes the small CPU-only one; .venv remembers the choice.
ifndef TORCH_BACKEND
TORCH_BACKEND := $(shell cat $(VENV)/torch-backend 2>/dev/null)
endif

# The stamp holds the folder that .venv was installed in. A .venv that was never finished, that was moved with its
# folder, or whose Python has gone is installed anew; any other only where the stamp is older than the lock.
ifneq ($(shell $(BIN)/python -c '' 2>/dev/null && cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

# `make book REPOSITORY=https://github.com/OWNER/NAME` builds the book with buttons that lead there, to Colab and to Binder,
# and the student edition that they open. A book that was built for another place is built again.
export REPOSITORY
ifneq ($(strip $(REPOSITORY)),$(shell cat _build/repository 2>/dev/null))
.PHONY: $(BOOK)
endif

LOWEST := $(VENV)/lowest
COLAB  := $(VENV)/colab
# Old packages use what newer ones have deprecated; that is no fault of ours.
AS_OLD := -W default::DeprecationWarning -W default::PendingDeprecationWarning -W default::FutureWarning

.PHONY: help install book pdf test test-lowest test-colab publish-student lab lint format notebooks results bench choose tolerances weights handwriting student assignment course grade try-class slides solutions new-exercise mutants lock clean distclean

help: ## list these targets
	@echo "Reading Handwritten Digits: a first course in deep learning"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Start with: make book"

install: $(STAMP) ## install everything into .venv; every other target does so too, where it is needed

book: $(BOOK) ## build the book from the executed notebooks (make book SOLUTIONS=no: without the exercises' solutions)
	@echo "The book is ready. Open it in a browser: $(CURDIR)/$(BOOK)"

pdf: $(BOOK) ## print the whole book into one PDF (needs Chromium, Chrome or Edge)
	$(TOOL)book_pdf $(dir $(BOOK))

test: lint ## check the code, run the unit tests, re-run and compare every notebook
	$(BIN)/python -m pytest --nbval --numprocesses 2 --dist loadscope  # a file, or a notebook, in one process

test-lowest: $(STAMP) ## the unit tests and two notebooks, with the lowest versions that pyproject.toml names (20 minutes)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip compile pyproject.toml --extra book --extra test --resolution lowest-direct --no-build \
	    --python $(LOWEST)/bin/python --quiet --output-file $(LOWEST)/requirements.txt
	$(BIN)/uv pip install --python $(LOWEST)/bin/python -r $(LOWEST)/requirements.txt \
	    $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND))
	$(BIN)/uv pip install --python $(LOWEST)/bin/python --no-deps --no-build-isolation -e .
	$(LOWEST)/bin/python -m pytest $(AS_OLD) tests --ignore tests/test_book.py --ignore tests/test_setup.py
	$(LOWEST)/bin/python -m pytest $(AS_OLD) --nbval-lax notebooks/05_build_network.ipynb notebooks/11_saving.ipynb

test-colab: $(STAMP) ## run the student edition's notebooks as on Colab (PYTHON=python3.12; NB="07 09": only these)
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(COLAB)
	$(BIN)/uv pip install --python $(COLAB)/bin/python -r tests/colab.txt \
	    $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND))
	$(TOOL)colab $(COLAB)/bin/python $(NB)

lab: $(STAMP) ## open the notebooks in JupyterLab
	@# A student needs none of nbgrader's menus. Once: whoever enables them again keeps them.
	@test -f $(LABCONFIG) || $(BIN)/jupyter labextension disable --level=sys_prefix @jupyter/nbgrader >/dev/null 2>&1
	$(BIN)/python -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/01_imports.ipynb

lint: $(STAMP) ## check the style of code and notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## mend the style of code and notebooks, where that can be done automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(STAMP) ## re-execute the notebooks in place (one of them: make notebooks NB=07)
	$(TOOL)notebooks $(NB)

results: $(STAMP) ## train every recipe with several seeds, and store the results page (three quarters of an hour; only what changed)
	$(TOOL)results

bench: $(STAMP) ## measure the speed beside the plain way's (half an hour; on an idle machine)
	$(TOOL)bench $(SECTIONS)

choose: $(STAMP) ## choose the recipes' settings on the validation images (two hours; only what is missing)
	$(TOOL)choose

tolerances: $(STAMP) ## measure how far the notebooks' numbers move on other processors (half an hour; NB=07: one)
	$(TOOL)tolerances $(NB)

weights: $(STAMP) ## train the network that is part of digitlib, and store it in data/weights (five minutes)
	$(TOOL)weights

handwriting: $(STAMP) ## measure every recipe on digits that are not MNIST, and store their page (five minutes, and the trainings)
	$(TOOL)handwriting

student: $(STAMP) ## make the edition without solutions, run it left blank, and zip it (NB="07 09": run only these)
	$(TOOL)student $(NB)

publish-student: $(STAMP) ## push the student edition to the branch that the buttons open (REPOSITORY=https://github.com/OWNER/NAME)
	@test -n "$(REPOSITORY)" || { echo "make: expected REPOSITORY=https://github.com/OWNER/NAME, got none"; exit 1; }
	$(TOOL)student --no-run
	GIT_INDEX_FILE=$(CURDIR)/dist/index git --work-tree=dist/student add --all .
	git push --force $(REPOSITORY) \
	    $$(git commit-tree -m "The student edition" $$(GIT_INDEX_FILE=$(CURDIR)/dist/index git write-tree)):refs/heads/student

assignment: $(STAMP) ## make nbgrader's source of a notebook in dist/class (make assignment NB=07)
	$(TOOL)assignment $(NB)

course: $(STAMP) ## make nbgrader's source of all eleven notebooks in dist/class
	$(TOOL)assignment $(wildcard notebooks/*.ipynb)

grade: $(STAMP) ## grade what a class has handed in, and report on it (make grade NB=07; COURSE=folder, or dist/class)
	$(TOOL)grade $(NB) $(if $(COURSE),--course $(COURSE))

try-class: $(STAMP) ## grade a made-up class of 300 in which one in ten is broken (make try-class NB=07; an hour)
	$(BIN)/python -m tests.classroom $(or $(NB),07) 300

slides: $(STAMP) ## make slides of a notebook in dist/slides, without its solutions (make slides NB=07; or all)
	$(TOOL)slides $(NB)

solutions: $(STAMP) ## write every solution, and the misconceptions of each exercise, into dist/solutions.md
	$(TOOL)solutions

new-exercise: $(STAMP) ## scaffold an exercise, its check and its answers (make new-exercise NB=07 ID=count_batches)
	$(TOOL)new_exercise $(NB) $(ID)

mutants: $(STAMP) ## break every solution in many small ways, and count how many breaks its check notices
	$(TOOL)mutate -v $(ID)

lock: $(STAMP) ## resolve requirements.lock from pyproject.toml (newest versions: make lock UPGRADE=--upgrade)
	$(BIN)/uv pip compile pyproject.toml --extra book --extra test --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE) \
	    --quiet --output-file requirements.lock

clean: ## remove the built book and the caches
	rm -rf _build .pytest_cache .ruff_cache
	find . \( -path ./$(VENV) -o -name .git \) -prune -o \
	    -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

distclean: clean ## remove all that can be made again, .venv and the trained networks included; a class in dist/ stays
	rm -rf $(VENV) *.egg-info checkpoints dist/student dist/*.zip dist/*.whl
	find data/MNIST/raw -type f ! -name '*.gz' -exec rm -f {} +

# The stamp is written last, so that an interrupted installation is taken up again.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) tools/machine.py || { \
	    echo "make: $(PYTHON) cannot install the course: $$($(PYTHON) --version 2>&1 | head -n 1)"; \
	    echo "      Another Python is named so: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "make: $(PYTHON) lacks the modules venv and ensurepip, which make .venv."; \
	    echo "      On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV): one to ten minutes, most of it PyTorch's download."
	@test "$$(cat $(STAMP) 2>/dev/null)" = "$(CURDIR)" && $(BIN)/python -c '' || $(PYTHON) -m venv --clear $(VENV)
	@rm -f $(STAMP)
	@awk '/^[^ #]/ { kept = /^uv==/ } kept' requirements.lock > $(VENV)/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(VENV)/uv.lock
ifeq ($(TORCH_BACKEND),)
	$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode -r requirements.lock
else
	@echo "$(TORCH_BACKEND)" > $(VENV)/torch-backend
	@awk -f tools/cpu.awk requirements.lock > $(VENV)/requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode --torch-backend $(TORCH_BACKEND) -r $(VENV)/requirements.lock
endif
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation -e .
	@# How threads wait while another one computes; README says why.
	$(BIN)/python -m ipykernel install --sys-prefix --env OMP_WAIT_POLICY PASSIVE >/dev/null
	@echo "$(CURDIR)" > $(STAMP)

# Built from nothing each time, which takes seconds: a page kept from an earlier build could hide its warning.
$(BOOK): $(STAMP) _config.yml _toc.yml $(wildcard book/*.* book/_static/*.* book/_static/*/* notebooks/*.ipynb digitlib/*.py digitlib/*.js digitlib/*.mplstyle data/weights/*.pth tools/export_*.py tools/book_formulas.py tools/book_frame.py tools/launch.py tools/front_picture.py tools/strokes.py)
ifeq ($(SOLUTIONS),no)
	$(TOOL)student --book $(PLAIN)
	$(BIN)/jupyter-book build $(PLAIN) -W -n --keep-going || { rm -f $(BOOK); exit 1; }
else
	rm -rf _build/html _build/.doctrees _build/jupyter_execute
	$(BIN)/jupyter-book build . -W -n --keep-going || { rm -f $(BOOK); exit 1; }
endif
	@mkdir -p _build
	@echo "$(strip $(REPOSITORY))" > _build/repository
ifneq ($(strip $(REPOSITORY)),)
	$(TOOL)student --no-run
endif
