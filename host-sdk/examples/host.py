#!/usr/bin/env python3
"""A Python host: ctypes and numpy, nothing else. One exposure in, posterior samples out.

    host.py libpellucid.so.1 PRIOR SIDE PIXEL_SCALE_ARCSEC [MODEL_DIR]

It simulates its exposure with the prediction extension, samples, checks what comes back, prints a summary.
"""
import ctypes as c
import json
import sys
import numpy as np

SLOTS = """version_string status_name get_extension error_code error_message error_json error_release devices
engine_create engine_release list_models engine_memory log_drain wcs_from_fits_header wcs_from_grid
wcs_from_callback psf_from_array psf_from_callback wcs_release psf_release exposure_create exposure_release
job_estimate job_submit job_poll job_wait job_cancel job_result job_release result_samples result_stat
result_percentiles result_residuals result_diagnostics result_header result_release""".split()
F32, F64, SIGMA = 1, 2, 1  # of pellucid.h

def struct(name, **fields):
    """A struct of pellucid.h whose first field is its size."""
    made = type(name, (c.Structure,), {"_fields_": [("struct_size", c.c_uint32), *fields.items()]})
    return lambda **values: made(struct_size=c.sizeof(made), **values)


Table = type("Table", (c.Structure,), {"_fields_": [(head, c.c_uint32) for head in
             ("struct_size", "abi", "minor", "reserved")] + [(slot, c.c_void_p) for slot in SLOTS]})
Predict = type("Predict", (c.Structure,), {"_fields_": [("struct_size", c.c_uint32),
               ("reserved", c.c_uint32), ("predict", c.c_void_p)]})
Array = struct("Array", flags=c.c_uint32, release=c.c_void_p, owner=c.c_void_p, data=c.c_void_p,
               dtype=c.c_int32, ndim=c.c_int32, shape=c.c_int64 * 6, stride=c.c_int64 * 6)
Exposure = struct("Exposure", flags=c.c_uint32, id=c.c_char_p, band=c.c_int32, err_kind=c.c_int32,
                  sci=c.c_void_p, err=c.c_void_p, dq=c.c_void_p, dq_bad_mask=c.c_uint32,
                  reserved=c.c_uint32, gain=c.c_double, zero_point=c.c_double, wcs=c.c_void_p,
                  psf=c.c_void_p, flux_convention=c.c_int32, reserved2=c.c_uint32,
                  noise_correlation=c.c_void_p)
Job = struct("Job", flags=c.c_uint32, exposures=c.c_void_p, n_exposures=c.c_size_t, ra=c.c_double,
             dec=c.c_double, pixscale=c.c_double, out_ny=c.c_int32, out_nx=c.c_int32,
             n_samples=c.c_int32, priority=c.c_int32, seed=c.c_uint64, prior=c.c_char_p,
             likelihood=c.c_char_p, options_json=c.c_char_p, user=c.c_void_p, on_state=c.c_void_p)


class Plugin:
    """The function table; failures become exceptions."""

    def __init__(self, path):
        entry = c.CDLL(path).pellucid_get_api
        entry.restype, entry.argtypes = c.POINTER(Table), [c.c_uint32, c.POINTER(c.c_uint32)]
        spoken = (c.c_uint32 * 2)()
        table = entry(1, spoken)
        if not table:
            raise RuntimeError(f"{path} speaks ABI {list(spoken)}, this host 1")
        self.table = table.contents
        extension = self.plain("get_extension", c.c_void_p, b"org.pellucid.predict/1")
        self.predict = c.cast(extension, c.POINTER(Predict)).contents.predict

    def plain(self, slot, result, *arguments):
        """A slot that cannot fail."""
        return c.CFUNCTYPE(result, *map(kind, arguments))(getattr(self.table, slot))(*arguments)

    def call(self, slot, *arguments):
        """A slot that ends in an error out-parameter; `slot` is a name or an address."""
        address, error = getattr(self.table, slot) if isinstance(slot, str) else slot, c.c_void_p()
        function = c.CFUNCTYPE(c.c_int, *map(kind, arguments), c.c_void_p)(address)
        status = function(*arguments, c.byref(error))
        if status:
            name = self.plain("status_name", c.c_char_p, c.c_int(status))
            text = self.plain("error_message", c.c_char_p, error)
            self.plain("error_release", None, error)
            raise RuntimeError(f"{name.decode()}: {text.decode()}")

    def make(self, slot, *arguments):
        """A slot whose last output is a handle."""
        handle = c.c_void_p()
        self.call(slot, *arguments, c.byref(handle))
        return handle

    def take(self, slot, *arguments):
        """A slot whose last output is a float32 array, copied into numpy's memory."""
        array = Array()
        self.call(slot, *arguments, c.byref(array))
        shape = array.shape[:array.ndim]
        view = np.ctypeslib.as_array(c.cast(array.data, c.POINTER(c.c_float)), shape)
        copy = np.lib.stride_tricks.as_strided(view, shape, array.stride[:array.ndim]).copy()
        c.CFUNCTYPE(None, c.c_void_p)(array.release)(c.byref(array))
        return copy


def kind(value):
    """The C type of an argument; addresses, sizes and counts are as wide as a pointer."""
    known = {bytes: c.c_char_p, float: c.c_double, c.c_int: c.c_int, c.c_int64: c.c_int64}
    return known.get(type(value), c.c_void_p)


def lend(values):
    """A numpy image as the plugin reads it."""
    dtype = {np.dtype("f4"): F32, np.dtype("f8"): F64}[values.dtype]
    array = Array(flags=1, data=values.ctypes.data, dtype=dtype, ndim=values.ndim,
                  shape=(c.c_int64 * 6)(*values.shape), stride=(c.c_int64 * 6)(*values.strides))
    array.image = values  # alive as long as the array
    return array


def main(path, prior, side, scale, models="."):
    side, scale, n, ra, dec, sigma = int(side), float(scale), 16, 150.1, 2.2, 0.05
    plugin = Plugin(path)
    config = json.dumps({"device": "cpu", "model_dirs": [models]}).encode()
    engine = plugin.make("engine_create", config, None)
    step = 2 * scale / 3600
    cards = {"CTYPE1": "'RA---TAN'", "CTYPE2": "'DEC--TAN'", "CRPIX1": (n + 1) / 2, "CRPIX2": (n + 1) / 2,
             "CRVAL1": ra, "CRVAL2": dec, "CD1_1": -step, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": step}
    header = "".join(f"{f'{key:8}= {value}':80}" for key, value in cards.items()).encode()
    wcs = plugin.make("wcs_from_fits_header", engine, header, len(header), None, None)
    y, x = np.mgrid[-6:7, -6:7]
    kernel = np.exp(-(x**2 + y**2) / 18.0)
    psf = plugin.make("psf_from_array", engine, c.byref(lend(kernel)), c.c_int(4), c.c_int(0))

    def expose(image):
        sci, err = lend(image), lend(np.full_like(image, sigma))
        parts = Exposure(id=b"exposure", err_kind=SIGMA, sci=c.addressof(sci), err=c.addressof(err), gain=1.0,
                         wcs=wcs, psf=psf)
        return plugin.make("exposure_create", engine, c.byref(parts))

    blank, (y, x) = expose(np.zeros((n, n))), np.mgrid[:side, :side] - (side - 1) / 2
    truth = np.exp(-np.hypot(x, y / 0.6) / (0.08 * side)).astype("f4")
    see = lambda sky: plugin.take(plugin.predict, engine, c.byref(blank), 1, ra, dec, scale,  # noqa: E731
                                  c.byref(lend(sky)))
    flat = see(np.ones((side, side), "f4"))[n // 2, n // 2]
    assert abs(flat - 1) < 1e-4, f"a constant sky stays constant, got {flat}"
    data = see(truth) + np.random.default_rng(1).normal(0, sigma, (n, n))
    exposure = expose(data)
    job = Job(exposures=c.addressof(exposure), n_exposures=1, ra=ra, dec=dec, pixscale=scale, out_ny=side,
              out_nx=side, n_samples=8, seed=42, prior=prior.encode())
    job = plugin.make("job_submit", engine, c.byref(job))
    plugin.call("job_wait", job, c.c_int64(-1))
    result = plugin.make("job_result", job)
    samples = plugin.take("result_samples", result, c.c_int64(0), c.c_int64(-1))
    chi2 = [np.mean(((data - see(sample)) / sigma) ** 2) for sample in samples[:, 0]]
    print(f"{plugin.plain('version_string', c.c_char_p).decode()}: {samples.shape} samples, "
          f"chi2/n {np.mean(chi2):.2f}, flux {samples.sum((1, 2, 3)).mean():.2f} of {truth.sum():.2f}")
    for what, handle in {"result": result, "job": job, "exposure": exposure, "psf": psf, "wcs": wcs,
                         "engine": engine}.items():
        plugin.plain(f"{what}_release", None, handle)
    assert np.isfinite(samples).all()
    assert 0.6 < np.mean(chi2) < 1.4, f"the samples fit their data: chi2/n {chi2}"
    print("ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
