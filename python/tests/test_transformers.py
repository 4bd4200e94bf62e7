"""Models of transformers that generate with a cache of codes, against recomputation without a cache; skipped without transformers."""

import importlib.util
import unittest
import warnings

if importlib.util.find_spec("transformers") is None:
    raise unittest.SkipTest("no transformers")

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

import sfa
from sfa.integrations import transformers as sparse

torch.set_num_threads(1)  # layers this small are slower with more
# The rounding of other shapes moves logits by less than a thousandth of that.
LEAST_GAP = 1e-3


def _spread(model, seed):
    """Random weights with which the next token is never a close call."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            scale = 4.0 if "wte" in name or "embed" in name or "lm_head" in name else weight.shape[-1] ** -0.5 * 2
            weight.data = torch.randn(weight.shape, generator=generator) * scale
    return model.eval()


def _qwen(**options):
    return _spread(Qwen3ForCausalLM(Qwen3Config(
        vocab_size=61, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=32, max_position_embeddings=256, bos_token_id=None, eos_token_id=None, pad_token_id=0, **options)), 1)


def _gpt():
    return _spread(GPT2LMHeadModel(GPT2Config(
        vocab_size=61, n_embd=64, n_layer=2, n_head=4, n_positions=256, bos_token_id=None, eos_token_id=None, pad_token_id=0)), 2)


def _recompute(model, ids, count, mask):
    """Greedy tokens, each from a run over all before it, and the least distance of the two largest logits."""
    gaps = []
    for _ in range(count):
        with torch.no_grad():
            logits = model(ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0), use_cache=False).logits[:, -1]
        first, second = logits.topk(2).values.unbind(1)
        gaps.append(float((first - second).min()))
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
        mask = torch.cat([mask, mask[:, -1:]], 1)
    return ids, min(gaps)


class GenerateTest(unittest.TestCase):
    def setUp(self):
        warnings.simplefilter("ignore", FutureWarning)  # later versions call past_key_values cache

    def generate(self, model, ids, cache, **options):
        return model.generate(ids, past_key_values=cache, do_sample=False, **{"attention_mask": torch.ones_like(ids), **options})

    def check(self, model, topk, padding=(0, 0, 0), tokens=19, count=24, **options):
        sparse.enable(model, topk)
        ids = torch.randint(1, 61, (len(padding), tokens), generator=torch.Generator().manual_seed(3))
        mask = torch.ones_like(ids)
        for row, count_of_row in zip(mask, padding):
            row[:count_of_row] = 0
        expected, gap = _recompute(model, ids, count, mask)
        self.assertGreater(gap, LEAST_GAP)
        cache = sparse.SparseCache(model.config, page_size=16, **options)
        found = self.generate(model, ids, cache, attention_mask=mask, max_new_tokens=count)
        self.assertEqual(found.tolist(), expected.tolist())
        self.assertEqual(cache.get_seq_length(), tokens + count - 1)
        return cache

    def test_qwen(self):
        cache = self.check(_qwen(), 4)
        # Two layers of two heads: 4 features of 32 in f32 with an index byte each, and a value of 32.
        self.assertEqual(cache.bytes_per_token, 2 * 2 * (4 * 5 + 32 * 4))
        self.assertEqual(cache.layers[1].store.topk, 4)

    def test_gpt(self):
        cache = self.check(_gpt(), [4, None], max_length=64)
        self.assertEqual([layer.store.topk for layer in cache.layers], [4, None])
        self.assertEqual(cache.layers[0].store.num_pages, 3 * 4)

    def test_padding(self):
        self.check(_qwen(), 4, padding=(7, 0, 17))
        self.check(_gpt(), 4, padding=(1, 18))

    def test_windows(self):
        self.check(_qwen(use_sliding_window=True, sliding_window=6, max_window_layers=1), 4)

    def test_topk_matters(self):
        """A model that ignores it fails; with dense keys and a window it is the ordinary model."""
        model, ids = _qwen(use_sliding_window=True, sliding_window=6, max_window_layers=1), torch.arange(1, 40)[None]
        outs = []
        for topk in (4, None):
            sparse.enable(model, topk)
            with torch.no_grad():
                outs.append(model(ids, use_cache=False).logits)
        model.set_attn_implementation("eager")
        with torch.no_grad():
            outs.append(model(ids, use_cache=False).logits)
        torch.testing.assert_close(outs[1], outs[2], rtol=1e-3, atol=1e-3)
        self.assertGreater(float((outs[0] - outs[1]).abs().max()), 1.0)

    def test_beams(self):
        """Forked sequences share pages."""
        model = _qwen()
        sparse.enable(model, 4)
        ids = torch.randint(1, 61, (2, 21), generator=torch.Generator().manual_seed(4))
        options = dict(num_beams=3, max_new_tokens=20)
        cache = sparse.SparseCache(model.config, page_size=16)
        found = self.generate(model, ids, cache, **options)
        expected = model.generate(ids, attention_mask=torch.ones_like(ids), use_cache=False, do_sample=False, **options)
        self.assertEqual(found.tolist(), expected.tolist())

    def test_chunks_crop_and_reset(self):
        model = _gpt()
        sparse.enable(model, 4)
        ids = torch.randint(1, 61, (2, 50), generator=torch.Generator().manual_seed(5))
        cache = sparse.SparseCache(model.config, page_size=16)
        with torch.no_grad():
            expected = model(ids, use_cache=False).logits

            def feed(begin, end):
                logits = model(ids[:, begin:end], past_key_values=cache, use_cache=True).logits
                torch.testing.assert_close(logits, expected[:, begin:end], rtol=1e-3, atol=1e-3)

            for begin, end in ((0, 20), (20, 45), (45, 46), (46, 50)):
                feed(begin, end)
            cache.crop(-13)
            self.assertEqual(cache.get_seq_length(), 37)
            feed(37, 50)
            cache.reorder_cache(torch.tensor([1, 0]))
            ids, expected = ids.flip(0), expected.flip(0)
            cache.crop(-2)
            feed(48, 50)
            cache.batch_repeat_interleave(2)
            cache.batch_select_indices(torch.tensor([1, 2]))
            cache.crop(-5)
            feed(45, 50)
            cache.reset()
            self.assertEqual(cache.get_seq_length(), 0)
            feed(0, 50)

    def test_errors(self):
        model, ids = _qwen(), torch.arange(1, 9)[None]
        with self.assertRaisesRegex(sfa.Error, r"enable\(model, topk\)"):
            sparse.SparseCache(model.config)
        sparse.enable(model, 4)
        right = torch.tensor([[1, 1, 1, 1, 1, 1, 0, 0]])
        with self.assertRaisesRegex(NotImplementedError, "padding_side"):
            model(ids, attention_mask=right, use_cache=False)
        cache = sparse.SparseCache(model.config)
        model.set_attn_implementation("sdpa")
        with self.assertRaisesRegex(TypeError, "attn_implementation=\"sfa\""):
            model(ids, past_key_values=cache, use_cache=True)
        model.set_attn_implementation("sfa")
        with self.assertRaisesRegex(NotImplementedError, "offloaded"):
            cache.layers[0].offload()


if __name__ == "__main__":
    unittest.main()
