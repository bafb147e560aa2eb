#!/usr/bin/env bash
# What a GPU is wanted for, in under eight minutes: the tests that need one, then gpu_figures.py.
#
#   bash benchmarks/gpu_check.sh [FOLDER]     logs go to FOLDER, by default runs/gpu_check
#   PYTHON=/path/to/python bash benchmarks/gpu_check.sh
#
# PYTHON (by default python3) has a torch that finds the GPU, transformers and what pyproject.toml asks for; nothing is
# installed. Each file of tests runs by itself, so that one that cannot be imported hides no other, and the names of
# what failed stand in FOLDER/failed.txt whatever comes after. Exit code 0 if all passed and all was measured.
set -u
cd "$(dirname "$0")/.."
out=${1:-runs/gpu_check}
python=${PYTHON:-python3}
mkdir -p "$out"
: >"$out/failed.txt"
: >"$out/tests.log"
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
code=0

"$python" - <<'END' || exit 2
import sys, torch, transformers
if not torch.cuda.is_available():
    sys.exit("gpu_check.sh: there is no GPU that torch finds")
print(torch.__version__, transformers.__version__, torch.cuda.get_device_name())
END

for file in $(grep -rlE 'needs_gpu|DEVICES' --include='test_*.py' tests); do
    timeout 100 "$python" -m pytest -m gpu -q --tb=short -rfE --continue-on-collection-errors "$file" >"$out/tests.log.part" 2>&1
    result=$?
    cat "$out/tests.log.part" >>"$out/tests.log"
    grep -E '^(FAILED|ERROR)' "$out/tests.log.part" >>"$out/failed.txt"
    if [ $result -ne 0 ]; then
        code=1
        [ $result -ne 124 ] || echo "TOOK TOO LONG $file" >>"$out/failed.txt"
        grep -qF "$file" "$out/failed.txt" || echo "ENDED WITH $result $file" >>"$out/failed.txt"
    fi
    echo "$file: $(tail -n 1 "$out/tests.log.part")"
done
rm -f "$out/tests.log.part"
echo "failed:"
cat "$out/failed.txt"

timeout 200 "$python" benchmarks/gpu_figures.py --json "$out/figures.json" 2>&1 | tee "$out/figures.log"
[ "${PIPESTATUS[0]}" -eq 0 ] || code=1
exit $code
