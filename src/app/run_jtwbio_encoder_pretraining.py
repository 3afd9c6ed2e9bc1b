"""Pre-train the encoder of one signal of CM-SSL.

python3 -m src.app.run_jtwbio_encoder_pretraining fit --config src/configs/jtwbio_encoder_config.yaml

The same as `python main.py --config_file configs/cmssl/encoder.yaml` with the keys that the arguments stand for.
"""

import sys

from src.app.run_jtwbio_tokenizer_pretraining import main

if __name__ == "__main__":
    sys.exit(main(stage="encoder"))
