/* Every wrapper of pellucid.hpp, and what it promises when things go wrong.
 *
 *   host LIBRARY PRIOR MODEL_SIDE PIXEL_SCALE MODEL_DIR
 *
 * Linked with second.cpp, which includes the header too. Exit code 0 if all is well. */
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <thread>
#if __cplusplus >= 202002L
#include <ranges>
#include <span>
#endif

#include <pellucid/pellucid.hpp>

/* In second.cpp. */
float sum_elsewhere(const pellucid::view &view);
[[noreturn]] void throw_elsewhere();

namespace {

constexpr std::size_t side = 8;
constexpr double scale_deg = 0.06 / 3600.0, ra_deg = 150.0, dec_deg = 2.0;

void check(bool condition, const std::string &what) {
  if (!condition) {
    std::fprintf(stderr, "FAILED: %s\n", what.c_str());
    std::exit(1);
  }
}

bool contains(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

/* Runs what must fail with code; the error. */
template <class Body>
pellucid::error fails(pellucid_status code, Body &&body) {
  try {
    body();
  } catch (const pellucid::error &error) {
    check(error.code() == code,
          std::string("expected code ") + std::to_string(code) + ": " + error.what());
    check(error.what()[0] != '\0' && contains(error.json(), "{"), "message and json");
    return error;
  }
  check(false, "expected code " + std::to_string(code) + ", nothing was thrown");
  std::abort();
}

template <class Exception, class Body>
void throws(Body &&body) {
  try {
    body();
  } catch (const Exception &) {
    return;
  }
  check(false, "nothing was thrown");
}

void to_sky(std::size_t n, const double *xy, double *radec) {
  for (std::size_t k = 0; k < n; ++k) {
    radec[2 * k] = ra_deg - (xy[2 * k] - 3.5) * scale_deg / std::cos(dec_deg / 57.29577951308232);
    radec[2 * k + 1] = dec_deg + (xy[2 * k + 1] - 3.5) * scale_deg;
  }
}

std::string cards() {
  const std::pair<const char *, double> values[] = {
      {"CRPIX1", 4.5},       {"CRPIX2", 4.5}, {"CRVAL1", ra_deg}, {"CRVAL2", dec_deg},
      {"CD1_1", -scale_deg}, {"CD1_2", 0.0},  {"CD2_1", 0.0},     {"CD2_2", scale_deg}};
  std::string text = "CTYPE1  = 'RA---TAN'\nCTYPE2  = 'DEC--TAN'\n";
  char line[81];
  for (const auto &[key, value] : values) {
    std::snprintf(line, sizeof line, "%-8s= %20.13E\n", key, value);
    text += line;
  }
  return text;
}

struct pixels {
  std::vector<float> values = std::vector<float>(side * side, 1.0f);
  double sigma = 0.1;
  pellucid::exposure_spec spec(std::string id = "one") const {
    return {
        std::move(id), {values, {side, side}}, pellucid::array_ref::constant(sigma, side, side)};
  }
};

pellucid::job_spec wanted(const char *const *argv) {
  pellucid::job_spec spec;
  spec.ra_deg = ra_deg;
  spec.dec_deg = dec_deg;
  spec.prior = argv[2];
  spec.ny = spec.nx = std::atoi(argv[3]);
  spec.pixel_scale_arcsec = std::atof(argv[4]);
  spec.n_samples = 4;
  spec.seed = 42;
  return spec;
}

/* The loader: what is no library, no plugin, of another level. */
pellucid::plugin loader(const char *library) {
  throws<pellucid::load_error>([] { pellucid::plugin::load("/no/such/libpellucid.so.1"); });
  throws<pellucid::load_error>([] { pellucid::plugin::load("libm.so.6"); });
  pellucid_api stump{};
  stump.struct_size = offsetof(pellucid_api, devices);
  throws<pellucid::load_error>([&] { pellucid::plugin short_one(stump); });
  ::setenv("PELLUCID_PLUGIN", library, 1);
  const auto plugin = pellucid::plugin::load();
  check(&plugin.api() == &pellucid::plugin::load(library).api(), "a library is loaded once");
  check(contains(plugin.version(), "pellucid "), "version");
  check(plugin.minor() == plugin.api().minor && plugin.minor() >= 1, "minor");
  check(plugin.status_name(PELLUCID_E_CALLBACK) == "PELLUCID_E_CALLBACK", "status_name");
  const auto devices = plugin.devices();
  check(!devices.empty() && devices[0].kind == PELLUCID_DEVICE_CPU, "devices");
  check(plugin.extension<pellucid_predict_ext>(PELLUCID_EXT_PREDICT) != nullptr, "extension");
  check(plugin.extension<int>("org.pellucid.nothing/1") == nullptr, "no such extension");
  return plugin;
}

void errors(const pellucid::plugin &plugin) {
  const auto error =
      fails(PELLUCID_E_CONFIG, [&] { pellucid::engine(plugin, R"({"devise": 1})"); });
  check(contains(error.what(), "devise"), "the key is named");
  check(contains(error.json(), "\"PELLUCID_E_CONFIG\"") && !error.cause(), "json");
  const pellucid::error copy = error;
  check(&copy.json() == &error.json(), "copies share");
  const pellucid::engine none = [&] {
    pellucid::engine first(plugin, "");
    pellucid::engine second(std::move(first));
    check(!first && second, "an engine moves");
    first = std::move(second);
    return first;
  }();
  check(none.memory().struct_size == sizeof(pellucid_mem), "memory");
}

void arrays() {
  const float values[6] = {1, 2, 3, 4, 5, 6};
  const pellucid_array *raw = nullptr;
  const pellucid::array_ref image(values, {2, 3});
  raw = image.get();
  check(raw->ndim == 2 && raw->shape[1] == 3 && raw->stride[0] == 12 && raw->stride[1] == 4,
        "strides");
  check(raw->dtype == PELLUCID_F32 && raw->flags == PELLUCID_ARRAY_READ_ONLY, "dtype");
  const pellucid::array_ref flipped(values + 3, {2, 3}, {-12, 4});
  check(flipped.get()->stride[0] == -12, "strides of the caller");
  const std::vector<std::uint8_t> bytes(4);
  const std::array<double, 4> doubles{};
  const std::vector<std::int32_t> ints(4);
  const std::vector<std::uint32_t> bits(4);
  check(pellucid::array_ref(bytes, {4}).get()->dtype == PELLUCID_U8, "u8");
  check(pellucid::array_ref(doubles, {4, 1, 1}).get()->dtype == PELLUCID_F64, "f64");
  check(pellucid::array_ref(ints, {4}).get()->dtype == PELLUCID_I32, "i32");
  check(pellucid::array_ref(bits, {4}).get()->dtype == PELLUCID_U32, "u32");
  throws<std::invalid_argument>([&] { pellucid::array_ref(bytes, {5}); });
  throws<std::invalid_argument>([&] { pellucid::array_ref(values, {1, 1, 1, 1, 1, 1, 1}); });
  throws<std::invalid_argument>([&] { pellucid::array_ref(values, {2, 3}, {4}); });
  pellucid_array odd{};
  odd.dtype = PELLUCID_F64;
  static int released = 0;
  odd.release = [](pellucid_array *array) {
    ++released;
    array->release = nullptr;
  };
  fails(PELLUCID_E_UNSUPPORTED, [&] { pellucid::view view(odd); });
  check(released == 1, "a view that is refused is released");
  check(pellucid::view().empty() && pellucid::view().ndim() == 0, "an empty view");
}

void sky(const pellucid::engine &engine, std::vector<pellucid::wcs> &kept) {
  kept.push_back(engine.wcs_from_fits_header(cards()));
  const std::vector<double> shifts(4, 0.25);
  const pellucid::lookup_table table{PELLUCID_NPOL, 1,           {shifts, {2, 2}}, {{1.0, 1.0}},
                                     {{1.0, 1.0}},  {{8.0, 8.0}}};
  kept.push_back(engine.wcs_from_fits_header(cards(), {table}));
  fails(PELLUCID_E_ARG, [&] { engine.wcs_from_fits_header("nothing"); });
  std::vector<double> nodes(8 * 8 * 2);
  for (std::size_t k = 0; k < 64; ++k) {
    const double xy[2] = {4.0 * static_cast<double>(k % 8) - 12.0,
                          4.0 * static_cast<double>(k / 8) - 12.0};
    to_sky(1, xy, &nodes[2 * k]);
  }
  kept.push_back(engine.wcs_from_grid({nodes, {8, 8, 2}}, -12.0, -12.0, 4.0));

  pellucid::wcs_functions functions;
  functions.pix2sky = to_sky;
  functions.ny = functions.nx = static_cast<std::int32_t>(side);
  functions.margin = 12;
  kept.push_back(engine.wcs_from_functions(functions));
  functions.pix2sky = nullptr;
  fails(PELLUCID_E_ARG, [&] { engine.wcs_from_functions(functions); });

  /* What a function throws: the call fails, and says why. */
  functions.pix2sky = [](auto...) { throw std::runtime_error("the chip is asleep"); };
  const auto asleep = fails(PELLUCID_E_CALLBACK, [&] { engine.wcs_from_functions(functions); });
  check(contains(asleep.what(), "the chip is asleep"), asleep.what());
  throws<std::runtime_error>([&] { std::rethrow_exception(asleep.cause()); });
  functions.pix2sky = [](auto...) { throw 7; };
  const auto seven = fails(PELLUCID_E_CALLBACK, [&] { engine.wcs_from_functions(functions); });
  throws<int>([&] { std::rethrow_exception(seven.cause()); });

  /* A function lives as long as something needs it, and no longer. */
  const auto token = std::make_shared<int>(0);
  functions.reentrant = true;
  functions.pix2sky = [token](auto... arguments) { to_sky(arguments...); };
  functions.sky2pix = [token](std::size_t n, const double *radec, double *xy) {
    for (std::size_t k = 0; k < 2 * n; ++k) xy[k] = radec[k];
  };
  auto wcs = engine.wcs_from_functions(std::move(functions));
  check(token.use_count() == 3, "two functions hold it");
  auto psf = engine.psf({std::vector<float>{1.0f}, {1, 1}}, 1);
  const pixels image;
  auto exposure = engine.exposure(image.spec(), wcs, psf);
  wcs.reset();
  check(!wcs && token.use_count() == 3, "the exposure holds them");
  exposure = pellucid::exposure();
  check(token.use_count() == 1, "nobody does");
}

void blur(const pellucid::engine &engine, const pellucid::wcs &wcs) {
  const std::vector<float> kernel(9, 1.0f);
  const pixels image;
  auto psf = engine.psf({kernel, {3, 3}}, 1, true);
  check(static_cast<bool>(engine.exposure(image.spec(), wcs, psf)), "a pixel-integrated PSF");
  const std::vector<double> nodes{-100.0, 100.0};
  std::vector<float> kernels(2 * 2 * 9, 1.0f);
  psf = engine.psf_from_grid({kernels, {2, 2, 3, 3}}, nodes, nodes, 1);
  check(static_cast<bool>(engine.exposure(image.spec(), wcs, psf)), "a PSF grid");
  throws<std::invalid_argument>([&] {
    engine.psf_from_grid({kernels, {4, 3, 3}}, nodes, nodes, 1);
  });
  throws<std::invalid_argument>([&] {
    engine.psf_from_grid({kernels, {4, 1, 3, 3}}, nodes, nodes, 1);
  });
  const auto token = std::make_shared<int>(0);
  pellucid::psf_function function{nullptr, 3, 3};
  fails(PELLUCID_E_ARG, [&] { engine.psf_from_function(function); });
  function.eval = [token](std::int32_t band, double x, double y, pellucid::span<float> out) {
    check(band == 0 && x == 3.5 && y == 3.5 && out.size() == 9, "eval is asked for the centre");
    for (float &value : out) value = 1.0f;
  };
  psf = engine.psf_from_function(std::move(function));
  check(static_cast<bool>(engine.exposure(image.spec(), wcs, psf)), "a PSF function");
  check(token.use_count() == 2, "the PSF holds its function");
  psf.reset();
  check(token.use_count() == 1, "and lets it go");
  psf = engine.psf_from_function({[](auto...) { throw_elsewhere(); }, 1, 1});
  const auto error = fails(PELLUCID_E_CALLBACK, [&] { engine.exposure(image.spec(), wcs, psf); });
  check(contains(error.what(), "from the other translation unit"), error.what());
}

void exposures(const pellucid::engine &engine, const pellucid::wcs &wcs, const pellucid::psf &psf) {
  pixels image;
  image.values[3] = std::nanf("");
  const auto error = fails(PELLUCID_E_ARG, [&] { engine.exposure(image.spec("bad"), wcs, psf); });
  check(contains(error.what(), "exposure bad") && contains(error.what(), "x = 3"), error.what());
  std::vector<std::uint8_t> bits(side * side);
  bits[3] = 4;
  std::vector<float> correlation(9, 0.01f);
  correlation[4] = 1.0f;
  auto spec = image.spec();
  spec.dq.emplace(bits, std::initializer_list<std::size_t>{side, side});
  spec.dq_bad_mask = 4;
  spec.gain = 2.0;
  spec.zero_point = 25.0;
  spec.flux_convention = PELLUCID_PER_PIXEL;
  spec.noise_correlation.emplace(correlation, std::initializer_list<std::size_t>{3, 3});
  check(static_cast<bool>(engine.exposure(spec, wcs, psf)), "all fields");
  spec.band = 1;
  fails(PELLUCID_E_UNSUPPORTED, [&] { engine.exposure(spec, wcs, psf); });
  fails(PELLUCID_E_ARG, [&] { engine.exposure(image.spec(), pellucid::wcs(), psf); });
}

void report(const pellucid::result &result, std::size_t model_side) {
  const auto samples = result.samples();
  check(samples.ndim() == 4 && samples.shape(0) == 4 && samples.shape(3) == model_side, "samples");
  check(samples.size() == 4 * model_side * model_side, "size");
  const auto some = result.samples(1, 2);
  check(some.data() == samples.slice(1).data(), "samples are not copied");
  check(some.at(0, 0, 2, 3) == samples.at(1, 0, 2, 3), "at");
  check(samples[5] == samples.begin()[5] && samples.at(0, 0, 0, 5) == samples[5], "flat");
  throws<std::out_of_range>([&] { samples.at(0, 0, 0); });
  throws<std::out_of_range>([&] { samples.at(4, 0, 0, 0); });
  throws<std::out_of_range>([&] { samples.slice(4); });
  const auto mean = result.mean();
  check(mean.ndim() == 3 && mean.size() == model_side * model_side, "mean");
  const float total = std::accumulate(mean.begin(), mean.end(), 0.0f);
  check(total == sum_elsewhere(mean), "the other translation unit sees the same");
#if __cplusplus >= 202002L
  static_assert(std::ranges::contiguous_range<const pellucid::view &>);
  const std::span<const float> all(mean);
  check(all.size() == mean.size() && all.data() == mean.data(), "a view is a std::span");
  const std::span<const float> first(samples.slice(0));
  check(first.size() == model_side * model_side, "so is a slice");
  check(pellucid::array_ref(all, {all.size()}).get()->shape[0] > 0, "and back");
#endif
  check(result.median().size() == mean.size() && result.standard_deviation().size() == mean.size(),
        "stats");
  check(result.stat("rhat").size() == mean.size(), "rhat");
  fails(PELLUCID_E_ARG, [&] { result.stat("mode"); });
  check(result.percentiles({16.0, 84.0}).shape(0) == 2, "percentiles");
  fails(PELLUCID_E_ARG, [&] { result.percentiles({101.0}); });
  std::size_t finite = 0;
  for (const float value : result.residuals(0)) finite += std::isfinite(value) ? 1 : 0;
  check(finite == side * side, "residuals of the mean");
  check(result.residuals(0, 2).shape(0) == side, "residuals of a sample");
  fails(PELLUCID_E_ARG, [&] { result.residuals(7); });
  check(contains(result.diagnostics(), "sample_errors"), "diagnostics");
  check(result.header().size() % 80 == 0 && contains(result.header(), "RA---TAN"), "header");
}

void jobs(const pellucid::plugin &plugin, const char *const *argv) {
  std::atomic<int> logged{0};
  const std::string config =
      R"({"device": "cpu", "threads": 1, "model_dirs": [")" + std::string(argv[5]) + "\"]}";
  pellucid::engine engine(
      plugin, config, [&](std::int32_t level, std::string_view from, std::string_view) {
        check(level == PELLUCID_LOG_INFO || level == PELLUCID_LOG_WARN, "level");
        check(contains(from, "pellucid"), "target");
        ++logged;
        throw std::runtime_error("nobody hears this");
      });
  check(engine.drain_log(0) == 0 && engine.drain_log() >= 1 && logged > 0, "log");
  check(contains(engine.list_models(), "\"kind\""), "list_models");

  std::vector<pellucid::wcs> skies;
  sky(engine, skies);
  blur(engine, skies[0]);
  auto psf = engine.psf({std::vector<double>{0, 1, 0, 1, 4, 1, 0, 1, 0}, {3, 3}}, 1);
  exposures(engine, skies[0], psf);

  const pixels image;
  std::vector<pellucid::exposure> list;
  for (const auto &wcs : skies) list.push_back(engine.exposure(image.spec(), wcs, psf));
  const std::vector<float> scene(64 * 64, 2.0f);
  const auto images = engine.predict(list, ra_deg, dec_deg, 0.03, {scene, {64, 64}});
  check(images.size() == 4, "one prediction each");
  for (const auto &seen : images) {
    for (const float value : seen) check(std::fabs(value - 2.0f) < 1e-3f, "a constant sky");
  }
  fails(PELLUCID_E_ARG, [&] { engine.predict(list, ra_deg, 100.0, 0.03, {scene, {64, 64}}); });

  auto spec = wanted(argv);
  check(engine.estimate(list, spec).results_held >= 4u * 4u * 32u * 32u, "estimate");
  spec.options_json = R"({"no_such_key": 1})";
  fails(PELLUCID_E_CONFIG, [&] { engine.submit(list, spec); });
  spec.options_json.clear();
  const auto token = std::make_shared<std::atomic<int>>(0);
  spec.on_state = [token](std::int32_t state) {
    *token = state;
    throw std::runtime_error("nor this");
  };
  /* Some of the exposures, by reference. */
  const std::vector<std::reference_wrapper<const pellucid::exposure>> two{list[0], list[2]};
  auto job = engine.submit(two, spec);
  spec.on_state = nullptr;
  spec.priority = -1;
  spec.likelihood = "gaussian";
  auto second = engine.submit(list, spec);
  second.cancel();
  second.cancel();
  fails(PELLUCID_E_CANCELLED, [&] { second.wait(); });
  fails(PELLUCID_E_CANCELLED, [&] { second.result(); });
  while (!job.wait_for(std::chrono::milliseconds(1))) {
    check(job.poll().state <= PELLUCID_JOB_RUNNING || job.poll().fraction == 1.0, "poll");
  }
  job.wait();
  check(job.poll().state == PELLUCID_JOB_DONE && job.poll().samples_done == 4, "done");
  check(*token >= PELLUCID_JOB_RUNNING && token.use_count() == 2, "on_state");
  second = std::move(job);
  check(!job && second, "a job moves");
  auto result = second.result();
  second = pellucid::job();
  check(token.use_count() == 1, "on_state went with the job");
  const auto outlives = result.samples();
  report(result, static_cast<std::size_t>(spec.nx));
  list.clear();
  { const pellucid::engine gone = std::move(engine); }
  report(result, static_cast<std::size_t>(spec.nx));
  fails(PELLUCID_E_ARG, [&] { engine.memory(); });
  pellucid_result *raw = result.release();
  check(!result, "released");
  result = pellucid::result(plugin.api(), raw);
  result = pellucid::result();
  check(std::isfinite(sum_elsewhere(outlives)), "a view outlives everything");
}

/* What only the stub engine can be told to do. */
void stub(const pellucid::plugin &plugin, const char *const *argv) {
  fails(PELLUCID_E_PANIC, [&] { pellucid::engine(plugin, R"({"panic_in": "engine_create"})"); });
  pellucid::engine engine(plugin, R"({"queue_capacity": 1})");
  const auto wcs = engine.wcs_from_fits_header(cards());
  const auto psf = engine.psf({std::vector<float>{1.0f}, {1, 1}}, 1);
  const pixels image;
  const pellucid::exposure list[] = {engine.exposure(image.spec(), wcs, psf)};
  auto spec = wanted(argv);
  spec.options_json = R"({"fail_in": "worker"})";
  fails(PELLUCID_E_DEVICE, [&] { engine.submit(list, spec).wait(); });
  spec.options_json = R"({"steps": 100000, "step_ms": 1})";
  std::vector<pellucid::job> jobs;
  const auto full = fails(PELLUCID_E_STATE, [&] {
    for (int k = 0; k < 3; ++k) jobs.push_back(engine.submit(list, spec));
  });
  check(contains(full.what(), "full"), full.what());
  check(!jobs[0].wait_for(std::chrono::milliseconds(1)), "a long job");
  check(!jobs[0].wait_for(std::chrono::milliseconds(-5)), "a negative time is no time");

  /* From another thread: cancelling ends a wait. */
  std::thread waiting([&] { fails(PELLUCID_E_CANCELLED, [&] { jobs[0].wait(); }); });
  jobs[0].cancel();
  waiting.join();
  jobs.clear(); /* cancels the other */

  /* Destroying a job and an engine inside on_state: the first works, the second is ignored. */
  auto other = std::make_unique<pellucid::engine>(plugin);
  pellucid_engine *raw = other->get();
  std::atomic<bool> may_start{false}, ended{false};
  std::unique_ptr<pellucid::job> self;
  spec.options_json = R"({"steps": 1, "step_ms": 1})";
  spec.on_state = [&](std::int32_t) {
    while (!may_start) std::this_thread::yield();
    self.reset();
    other.reset();
    ended = true;
  };
  const pellucid::engine idle(plugin);
  self = std::make_unique<pellucid::job>(idle.submit(list, spec));
  may_start = true;
  while (!ended) std::this_thread::yield();
  auto memory = pellucid::detail::sized<pellucid_mem>();
  check(plugin.api().engine_memory(raw, &memory, nullptr) == PELLUCID_OK, "it lives on");
  plugin.api().engine_release(raw);
}

}  // namespace

static_assert(!std::is_copy_constructible_v<pellucid::engine>, "move-only");
static_assert(!std::is_copy_constructible_v<pellucid::job>, "move-only");
static_assert(!std::is_copy_constructible_v<pellucid::view>, "move-only");
static_assert(!std::is_copy_constructible_v<pellucid::wcs>, "move-only");
static_assert(std::is_nothrow_move_constructible_v<pellucid::engine>, "cheap to move");
static_assert(std::is_nothrow_move_assignable_v<pellucid::job>, "cheap to move");
static_assert(std::is_nothrow_copy_constructible_v<pellucid::error>, "safe to throw");

int main(int argc, char **argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: host LIBRARY PRIOR MODEL_SIDE PIXEL_SCALE MODEL_DIR\n");
    return 2;
  }
  const auto plugin = loader(argv[1]);
  arrays();
  errors(plugin);
  jobs(plugin, argv);
  if (contains(plugin.version(), "stub")) stub(plugin, argv);
  std::printf("ok\n");
  return 0;
}
