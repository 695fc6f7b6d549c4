// A C++ host built against an installed package: load, negotiate, devices, models, a prediction.
//
// With PLUGIN defined it opens that file; without, it is linked to the plugin.
#include <dlfcn.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include <pellucid/pellucid.h>

namespace {

const pellucid_api *api;

void must(bool condition, const std::string &what) {
  if (condition) return;
  std::fprintf(stderr, "FAILED: %s\n", what.c_str());
  std::exit(1);
}

// By address: it is open whether an argument is read before or after the call beside it.
void must(pellucid_status status, pellucid_error *const *error, const std::string &what) {
  if (status == PELLUCID_OK) return;
  must(false, what + ": " + api->status_name(status) + ": " + api->error_message(*error));
}

template <class T>
using Owned = std::unique_ptr<T, void (*)(T *)>;

template <class T>
T zeroed() {
  static_assert(std::is_trivial_v<T>, "a C struct");
  T value{};
  value.struct_size = sizeof value;
  return value;
}

template <class T>
pellucid_array view(const std::vector<T> &values, int32_t dtype, int64_t side) {
  auto array = zeroed<pellucid_array>();
  array.flags = PELLUCID_ARRAY_READ_ONLY;
  array.data = values.data();
  array.dtype = dtype;
  array.ndim = 2;
  array.shape[0] = array.shape[1] = side;
  array.stride[0] = side * static_cast<int64_t>(sizeof(T));
  array.stride[1] = sizeof(T);
  return array;
}

bool mapped(const char *library) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(library) != std::string::npos) return true;
  }
  return false;
}

const pellucid_api *open_plugin(uint32_t range[2]) {
#ifdef PLUGIN
  void *library = dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);
  must(library != nullptr, library ? "" : dlerror());
  auto entry = reinterpret_cast<pellucid_get_api_fn>(dlsym(library, PELLUCID_GET_API));
  must(entry != nullptr, "the entry symbol");
  return entry(PELLUCID_ABI, range);
#else
  return pellucid_get_api(PELLUCID_ABI, range);
#endif
}

std::string cards(int side, double scale_deg) {
  const std::pair<const char *, double> values[] = {
      {"CRPIX1", (side + 1) / 2.0}, {"CRPIX2", (side + 1) / 2.0}, {"CRVAL1", 150.0},
      {"CRVAL2", 2.0},              {"CD1_1", -scale_deg},        {"CD1_2", 0.0},
      {"CD2_1", 0.0},               {"CD2_2", scale_deg}};
  char card[81];
  std::string text;
  for (const char *kind : {"CTYPE1  = 'RA---TAN'", "CTYPE2  = 'DEC--TAN'"}) {
    std::snprintf(card, sizeof card, "%-80s", kind);
    text += card;
  }
  for (const auto &[key, value] : values) {
    char assignment[64];
    std::snprintf(assignment, sizeof assignment, "%-8s= %20.13E", key, value);
    std::snprintf(card, sizeof card, "%-80s", assignment);
    text += card;
  }
  return text;
}

// What 32 x 32 detector pixels see of a point source of flux 1 in the middle.
double flux_seen(pellucid_engine *engine) {
  constexpr int side = 33, kernel_side = 17;
  constexpr double scale_arcsec = 0.05;
  pellucid_error *error = nullptr;
  const std::string header = cards(side, scale_arcsec / 3600);
  pellucid_wcs *wcs = nullptr;
  must(api->wcs_from_fits_header(engine, header.data(), header.size(), nullptr, 0, &wcs, &error),
       &error, "wcs_from_fits_header");
  Owned<pellucid_wcs> own_wcs(wcs, api->wcs_release);
  std::vector<float> kernel(kernel_side * kernel_side);
  for (int k = 0; k < kernel_side * kernel_side; ++k) {
    const double x = k % kernel_side - 8, y = k / kernel_side - 8;
    kernel[k] = static_cast<float>(std::exp(-(x * x + y * y) / 8));
  }
  const auto kernel_view = view(kernel, PELLUCID_F32, kernel_side);
  pellucid_psf *psf = nullptr;
  must(api->psf_from_array(engine, &kernel_view, 4, 0, &psf, &error), &error, "psf_from_array");
  Owned<pellucid_psf> own_psf(psf, api->psf_release);
  const std::vector<float> blank(side * side, 0.0f), sigma(side * side, 1.0f);
  const auto sci = view(blank, PELLUCID_F32, side), err = view(sigma, PELLUCID_F32, side);
  auto desc = zeroed<pellucid_exposure_desc>();
  desc.id = "point source";
  desc.err_kind = PELLUCID_ERR_SIGMA;
  desc.sci = &sci;
  desc.err = &err;
  desc.gain = 1;
  desc.wcs = wcs;
  desc.psf = psf;
  desc.flux_convention = PELLUCID_SURFACE_BRIGHTNESS;
  pellucid_exposure *exposure = nullptr;
  must(api->exposure_create(engine, &desc, &exposure, &error), &error, "exposure_create");
  Owned<pellucid_exposure> own_exposure(exposure, api->exposure_release);
  std::vector<float> point(side * side, 0.0f);
  point[side * side / 2] = 1;
  const auto model = view(point, PELLUCID_F32, side);
  auto *predict =
      static_cast<const pellucid_predict_ext *>(api->get_extension(PELLUCID_EXT_PREDICT));
  must(predict != nullptr, "the prediction extension");
  auto seen = zeroed<pellucid_array>();
  must(predict->predict(engine, &exposure, 1, 150, 2, scale_arcsec, &model, &seen, &error), &error,
       "predict");
  double sum = 0;
  for (int k = 0; k < side * side; ++k) sum += static_cast<const float *>(seen.data)[k];
  seen.release(&seen);
  return sum;
}

}  // namespace

int main() {
  uint32_t range[2] = {0, 0};
  api = open_plugin(range);
  must(api != nullptr && range[0] <= PELLUCID_ABI && range[1] >= PELLUCID_ABI, "negotiation");
  std::printf("%s\n", api->version_string());
  must(!mapped("libtorch"), "libtorch waits until it is needed");

  pellucid_error *error = nullptr;
  size_t n = 0;
  must(api->devices(nullptr, &n, &error), &error, "devices");
  std::vector<pellucid_device> devices(n, zeroed<pellucid_device>());
  must(api->devices(devices.data(), &n, &error), &error, "devices");
  for (const auto &device : devices) std::printf("device: %s\n", device.name);
  must(n > 0, "there is a CPU");

  pellucid_engine *engine = nullptr;
  must(api->engine_create("{\"device\": \"cpu\"}", nullptr, &engine, &error), &error,
       "engine_create");
  Owned<pellucid_engine> own_engine(engine, api->engine_release);
  const char *models = nullptr;
  must(api->list_models(engine, &models, &error), &error, "list_models");
  must(std::string(models).find("galaxies64-ve") != std::string::npos,
       "the installed models are found");
  const double flux = flux_seen(engine);
  std::printf("flux of a point source: %.6f\n", flux);
  must(std::abs(flux - 1) < 1e-3, "a point source keeps its flux");
  std::printf("ok\n");
  return 0;
}
