/* pellucid.hpp: pellucid.h for C++17 and later, header-only.
 *
 *   auto plugin = pellucid::plugin::load();
 *   pellucid::engine engine(plugin, R"({"device": "cpu"})");
 *   auto wcs = engine.wcs_from_fits_header(cards);
 *   auto psf = engine.psf({kernel, {25, 25}}, 4);
 *   pellucid::exposure_spec seen{"visit-1", {sci, {ny, nx}}, {err, {ny, nx}}};
 *   std::vector<pellucid::exposure> exposures;
 *   exposures.push_back(engine.exposure(seen, wcs, psf));
 *   auto job = engine.submit(exposures, wanted);
 *   job.wait();
 *   pellucid::result result = job.result();
 *   pellucid::view mean = result.mean();            // float32 [band, y, x], owned by the plugin
 *
 * What the slots do, their units and shapes stand in pellucid.h; here is what C++ adds:
 *
 *   ownership  plugin, view and all handles release what they hold. Handles and views are
 *              move-only. Any order of destruction is right, also handles after their engine. A
 *              moved-from or default-made object may only be assigned to or destroyed.
 *   errors     pellucid::error for every status but PELLUCID_OK; pellucid::load_error.
 *   views      No copy is made of what the plugin computes. A view keeps its values alive by
 *              itself; texts (string_view) and spans live as long as the object that gave them,
 *              which must not be a temporary.
 *   callbacks  std::function. What one throws is caught: pix2sky, sky2pix and PSF functions fail
 *              their call with PELLUCID_E_CALLBACK and error::cause(); log and on_state have
 *              nobody to tell and swallow it. See pellucid_host on what they must not call.
 *   threads    As in C, any thread may call; moving or destroying an object while another thread
 *              uses it is a data race, as for any C++ object.
 *
 * Needs the library dl (part of glibc since 2.34). */
#ifndef PELLUCID_PELLUCID_HPP
#define PELLUCID_PELLUCID_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pellucid/pellucid_core.hpp>

namespace pellucid {

/* ---- Handles of the sky ------------------------------------------------------------------- */

class wcs : public detail::handle<pellucid_wcs, &pellucid_api::wcs_release> {
  using handle::handle;
};
class psf : public detail::handle<pellucid_psf, &pellucid_api::psf_release> {
  using handle::handle;
};
class exposure : public detail::handle<pellucid_exposure, &pellucid_api::exposure_release> {
  using handle::handle;
};

/* A distortion look-up table of an HST image: see pellucid_lookup_table. */
struct lookup_table {
  std::int32_t kind; /* PELLUCID_NPOL or PELLUCID_D2IM */
  std::int32_t axis; /* 1 = x, 2 = y */
  array_ref values;
  std::array<double, 2> crpix, crval, cdelt;
};

/* A WCS by functions: n pairs in, n pairs out; see pellucid_wcs_callback. */
struct wcs_functions {
  using map = std::function<void(std::size_t n, const double *from, double *to)>;
  map pix2sky;            /* (x, y) 0-based to (ra, dec) degrees */
  map sky2pix = nullptr;  /* empty: pix2sky is inverted numerically */
  bool reentrant = false; /* any thread, any time; else sampled at once, on ny x nx pixels */
  std::int32_t ny = 0;
  std::int32_t nx = 0;
  std::int32_t margin = 0;
  double step = 0.0;
};

/* A PSF by a function, which fills out [ny, nx]; see pellucid_psf_callback. */
struct psf_function {
  std::function<void(std::int32_t band, double x, double y, span<float> out)> eval;
  std::int32_t ny;
  std::int32_t nx;
  std::int32_t oversample = 1;
  bool pixel_integrated = false;
};

/* One calibrated exposure: see pellucid_exposure_desc. */
struct exposure_spec {
  std::string id;
  array_ref sci;
  array_ref err;
  std::int32_t err_kind = PELLUCID_ERR_SIGMA;
  std::optional<array_ref> dq = std::nullopt;
  std::uint32_t dq_bad_mask = 0;
  double gain = 1.0;
  double zero_point = 0.0;
  std::int32_t flux_convention = PELLUCID_SURFACE_BRIGHTNESS;
  std::optional<array_ref> noise_correlation = std::nullopt;
  std::int32_t band = 0;
};

/* What to sample: see pellucid_job_desc. */
struct job_spec {
  double ra_deg = 0.0;
  double dec_deg = 0.0;
  double pixel_scale_arcsec = 0.0;
  std::int32_t ny = 0;
  std::int32_t nx = 0;
  std::int32_t n_samples = 0;
  std::uint64_t seed = 0;
  std::string prior = {};
  std::string likelihood = {};   /* empty: "gaussian" */
  std::string options_json = {}; /* empty: defaults */
  std::int32_t priority = 0;
  /* A wake-up at every change of state, mostly on a worker's thread. */
  std::function<void(std::int32_t state)> on_state = nullptr;
};

/* ---- Results ------------------------------------------------------------------------------ */

/* The samples of a job and what is made of them. */
class result : public detail::handle<pellucid_result, &pellucid_api::result_release> {
 public:
  using handle::handle;

  /* [n, band, y, x]; a failed sample is all NaN. n < 0: all from first on. */
  view samples(std::int64_t first = 0, std::int64_t n = -1) const {
    return filled([&](auto out, auto e) { return api().result_samples(get(), first, n, out, e); });
  }
  /* [band, y, x]: "mean", "median", "std", "rhat". */
  view stat(const char *name) const {
    return filled([&](auto out, auto e) { return api().result_stat(get(), name, out, e); });
  }
  view mean() const { return stat("mean"); }
  view median() const { return stat("median"); }
  view standard_deviation() const { return stat("std"); }
  /* [q, band, y, x], q from 0 to 100. */
  view percentiles(const std::vector<double> &q) const {
    return filled([&](auto out, auto e) {
      return api().result_percentiles(get(), q.data(), q.size(), out, e);
    });
  }
  /* y - A x, [y, x] of an exposure's detector, for a sample or (-1) the mean. */
  view residuals(std::size_t exposure, std::int64_t sample = -1) const {
    return filled(
        [&](auto out, auto e) { return api().result_residuals(get(), sample, exposure, out, e); });
  }
  /* JSON: fit per exposure and sample, sample errors, provenance. */
  std::string_view diagnostics() const & {
    const char *json = nullptr;
    detail::checked(api(), [&](auto e) { return api().result_diagnostics(get(), &json, e); });
    return json;
  }
  std::string_view diagnostics() const && = delete;
  /* FITS cards of 80 bytes each, without END. */
  std::string_view header() const & {
    const char *cards = nullptr;
    std::size_t len = 0;
    detail::checked(api(), [&](auto e) { return api().result_header(get(), &cards, &len, e); });
    return {cards, len};
  }
  std::string_view header() const && = delete;

 private:
  template <class Slot>
  view filled(Slot &&slot) const {
    auto out = detail::sized<pellucid_array>();
    detail::checked(api(), [&](auto e) { return slot(&out, e); });
    return view(out);
  }
};

/* ---- Jobs --------------------------------------------------------------------------------- */

namespace detail {

/* A job's on_state. A call keeps it alive, should it destroy the job it is about. */
struct state_function : std::enable_shared_from_this<state_function> {
  explicit state_function(std::function<void(std::int32_t)> f) : function(std::move(f)) {}
  static void call(void *user, std::int32_t state) noexcept {
    const auto self = static_cast<state_function *>(user)->shared_from_this();
    swallowed([&] { self->function(state); });
  }
  std::function<void(std::int32_t)> function;
};

}  // namespace detail

/* A submitted job. Destroying it cancels it if it is unfinished; on_state is not called after. */
class job : public detail::handle<pellucid_job, &pellucid_api::job_release> {
 public:
  job() noexcept = default;
  job(job &&) noexcept = default;
  job &operator=(job &&other) noexcept {
    handle::operator=(std::move(other)); /* first: it ends the calls of the old function */
    on_state_ = std::move(other.on_state_);
    return *this;
  }
  ~job() { reset(); }
  pellucid_job *release() = delete; /* on_state belongs to this object */

  /* Never blocks. */
  pellucid_progress poll() const {
    auto progress = detail::sized<pellucid_progress>();
    detail::checked(api(), [&](auto e) { return api().job_poll(get(), &progress, e); });
    return progress;
  }
  /* Waits until it is done, delivering log messages. Throws if it failed or was cancelled. */
  void wait() const {
    detail::checked(api(), [&](auto e) { return api().job_wait(get(), -1, e); });
  }
  /* The same for at most timeout; false if the job goes on. */
  bool wait_for(std::chrono::milliseconds timeout) const {
    const auto ms = std::max<std::int64_t>(timeout.count(), 0);
    bool done = true;
    detail::checked(api(), [&](auto e) {
      const pellucid_status status = api().job_wait(get(), ms, e);
      done = status != PELLUCID_E_TIMEOUT;
      if (done) return status;
      api().error_release(std::exchange(*e, nullptr));
      return pellucid_status{PELLUCID_OK};
    });
    return done;
  }
  /* Asks it to stop; seen within one step of the sampler. */
  void cancel() const {
    detail::checked(api(), [&](auto) { return api().job_cancel(get()); });
  }
  /* The result of a job that is done. */
  pellucid::result result() const {
    pellucid_result *raw = nullptr;
    detail::checked(api(), [&](auto e) { return api().job_result(get(), &raw, e); });
    return pellucid::result(api(), raw);
  }

 private:
  friend class engine;
  job(const pellucid_api &api, pellucid_job *raw,
      std::shared_ptr<detail::state_function> on_state) noexcept
      : handle(api, raw), on_state_(std::move(on_state)) {}

  std::shared_ptr<detail::state_function> on_state_;
};

/* ---- Engines ------------------------------------------------------------------------------ */

namespace detail {

/* A context that the plugin ends by release(ctx). */
template <class Function>
struct context {
  Function function;
  static Function &of(void *ctx) noexcept { return static_cast<context *>(ctx)->function; }
  static void release(void *ctx) noexcept { delete static_cast<context *>(ctx); }
};

using log_function =
    std::function<void(std::int32_t level, std::string_view target, std::string_view message)>;

}  // namespace detail

/* An engine: its threads, device and queue. */
class engine {
 public:
  /* Receives log messages: PELLUCID_LOG_*, where from, what. */
  using log_function = detail::log_function;

  /* Starts the workers. config_json: see engine_create; empty for defaults. log is called inside
   * job.wait, drain_log and the destructor, or with any_thread at once on any thread. */
  explicit engine(const plugin &loaded, const std::string &config_json = {},
                  log_function log = nullptr, bool any_thread = false)
      : plugin_(loaded) {
    auto host = detail::sized<pellucid_host>();
    if (log) {
      log_ = std::make_unique<log_function>(std::move(log));
      host.ctx = log_.get();
      host.log = [](void *ctx, std::int32_t level, const char *from, const char *text) noexcept {
        detail::swallowed([&] { (*static_cast<log_function *>(ctx))(level, from, text); });
      };
      if (any_thread) host.flags = PELLUCID_HOST_LOG_ANY_THREAD;
    }
    checked(
        [&](auto e) { return api().engine_create(detail::or_null(config_json), &host, &raw_, e); });
  }
  engine(engine &&other) noexcept
      : plugin_(other.plugin_),
        log_(std::move(other.log_)),
        raw_(std::exchange(other.raw_, nullptr)) {}
  engine &operator=(engine &&other) noexcept {
    if (this != &other) {
      reset();
      plugin_ = other.plugin_;
      log_ = std::move(other.log_);
      raw_ = std::exchange(other.raw_, nullptr);
    }
    return *this;
  }
  /* Cancels the jobs, joins the workers. Inside a callback it does nothing: the engine lives on. */
  ~engine() { reset(); }

  explicit operator bool() const noexcept { return raw_ != nullptr; }
  pellucid_engine *get() const noexcept { return raw_; }

  /* A JSON array of priors and noise models. */
  std::string_view list_models() const & {
    const char *json = nullptr;
    checked([&](auto e) { return api().list_models(raw_, &json, e); });
    return json;
  }
  std::string_view list_models() const && = delete;
  pellucid_mem memory() const {
    auto memory = detail::sized<pellucid_mem>();
    checked([&](auto e) { return api().engine_memory(raw_, &memory, e); });
    return memory;
  }
  /* Delivers at most max waiting log messages on this thread; how many. */
  std::size_t drain_log(std::size_t max = SIZE_MAX) const { return api().log_drain(raw_, max); }

  /* ---- WCS: header text, grid, functions. */

  pellucid::wcs wcs_from_fits_header(std::string_view cards,
                                     const std::vector<lookup_table> &tables = {}) const {
    std::vector<pellucid_lookup_table> list;
    for (const lookup_table &table : tables) {
      auto raw = detail::sized<pellucid_lookup_table>();
      raw.kind = table.kind;
      raw.axis = table.axis;
      raw.values = table.values.get();
      for (std::size_t k = 0; k < 2; ++k) {
        raw.crpix[k] = table.crpix[k];
        raw.crval[k] = table.crval[k];
        raw.cdelt[k] = table.cdelt[k];
      }
      list.push_back(raw);
    }
    return made<pellucid::wcs, pellucid_wcs>([&](auto out, auto e) {
      return api().wcs_from_fits_header(raw_, cards.data(), cards.size(), list.data(), list.size(),
                                        out, e);
    });
  }
  /* radec [ny, nx, 2] degrees at pixels (x0 + j step, y0 + i step). */
  pellucid::wcs wcs_from_grid(const array_ref &radec, double x0, double y0, double step) const {
    return made<pellucid::wcs, pellucid_wcs>([&](auto out, auto e) {
      return api().wcs_from_grid(raw_, radec.get(), x0, y0, step, out, e);
    });
  }
  pellucid::wcs wcs_from_functions(wcs_functions functions) const {
    using context = detail::context<wcs_functions>;
    auto raw = detail::sized<pellucid_wcs_callback>();
    if (functions.reentrant) raw.flags = PELLUCID_WCS_REENTRANT;
    raw.ny = functions.ny;
    raw.nx = functions.nx;
    raw.margin = functions.margin;
    raw.step = functions.step;
    if (functions.pix2sky) {
      raw.pix2sky = [](void *ctx, std::size_t n, const double *from, double *to) noexcept {
        return detail::guarded([&] { context::of(ctx).pix2sky(n, from, to); });
      };
    }
    if (functions.sky2pix) {
      raw.sky2pix = [](void *ctx, std::size_t n, const double *from, double *to) noexcept {
        return detail::guarded([&] { context::of(ctx).sky2pix(n, from, to); });
      };
    }
    auto owned = std::unique_ptr<context>(new context{std::move(functions)});
    raw.ctx = owned.get();
    raw.release = context::release;
    return adopted<pellucid::wcs, pellucid_wcs>(
        owned, [&](auto out, auto e) { return api().wcs_from_callback(raw_, &raw, out, e); });
  }

  /* ---- PSF: array, grid, function. */

  /* kernel [ny, nx], oversample samples per detector pixel. */
  pellucid::psf psf(const array_ref &kernel, std::int32_t oversample,
                    bool pixel_integrated = false) const {
    return made<pellucid::psf, pellucid_psf>([&](auto out, auto e) {
      return api().psf_from_array(raw_, kernel.get(), oversample, psf_flags(pixel_integrated), out,
                                  e);
    });
  }
  /* kernels [y.size(), x.size(), ny, nx] at columns x and rows y. PELLUCID_E_UNSUPPORTED from a
   * plugin older than minor 1. */
  pellucid::psf psf_from_grid(const array_ref &kernels, const std::vector<double> &x,
                              const std::vector<double> &y, std::int32_t oversample,
                              bool pixel_integrated = false) const {
    if (!PELLUCID_HAS(&api(), psf_from_grid)) {
      throw error(PELLUCID_E_UNSUPPORTED, "psf_from_grid: the plugin is older than minor 1");
    }
    const std::int64_t *shape = kernels.get()->shape;
    if (kernels.get()->ndim != 4 || shape[0] != static_cast<std::int64_t>(y.size()) ||
        shape[1] != static_cast<std::int64_t>(x.size())) {
      throw std::invalid_argument("pellucid::psf_from_grid: kernels are not [y, x, ny, nx]");
    }
    return made<pellucid::psf, pellucid_psf>([&](auto out, auto e) {
      return api().psf_from_grid(raw_, kernels.get(), x.data(), y.data(), oversample,
                                 psf_flags(pixel_integrated), out, e);
    });
  }
  /* Called once in exposure(), on its thread. */
  pellucid::psf psf_from_function(psf_function function) const {
    using context = detail::context<psf_function>;
    auto raw = detail::sized<pellucid_psf_callback>();
    raw.flags = psf_flags(function.pixel_integrated);
    raw.ny = function.ny;
    raw.nx = function.nx;
    raw.oversample = function.oversample;
    if (function.eval) {
      raw.eval = [](void *ctx, std::int32_t band, double x, double y, float *out) noexcept {
        const psf_function &self = context::of(ctx);
        const auto size = static_cast<std::size_t>(self.ny) * static_cast<std::size_t>(self.nx);
        return detail::guarded([&] { self.eval(band, x, y, span<float>(out, size)); });
      };
    }
    auto owned = std::unique_ptr<context>(new context{std::move(function)});
    raw.ctx = owned.get();
    raw.release = context::release;
    return adopted<pellucid::psf, pellucid_psf>(
        owned, [&](auto out, auto e) { return api().psf_from_callback(raw_, &raw, out, e); });
  }

  /* ---- Exposures and jobs. Exposures may be a range of exposure or of reference_wrapper. */

  pellucid::exposure exposure(const exposure_spec &spec, const pellucid::wcs &wcs,
                              const pellucid::psf &psf) const {
    auto desc = detail::sized<pellucid_exposure_desc>();
    desc.id = spec.id.c_str();
    desc.band = spec.band;
    desc.err_kind = spec.err_kind;
    desc.sci = spec.sci.get();
    desc.err = spec.err.get();
    desc.dq = spec.dq ? spec.dq->get() : nullptr;
    desc.dq_bad_mask = spec.dq_bad_mask;
    desc.gain = spec.gain;
    desc.zero_point = spec.zero_point;
    desc.wcs = wcs.get();
    desc.psf = psf.get();
    desc.flux_convention = spec.flux_convention;
    desc.noise_correlation = spec.noise_correlation ? spec.noise_correlation->get() : nullptr;
    return made<pellucid::exposure, pellucid_exposure>(
        [&](auto out, auto e) { return api().exposure_create(raw_, &desc, out, e); });
  }
  /* What a job would need, as peaks; nothing is queued. */
  template <class Exposures>
  pellucid_mem estimate(const Exposures &exposures, const job_spec &spec) const {
    const auto list = handles(exposures);
    const pellucid_job_desc desc = describe(list, spec);
    auto need = detail::sized<pellucid_mem>();
    checked([&](auto e) { return api().job_estimate(raw_, &desc, &need, e); });
    return need;
  }
  template <class Exposures>
  job submit(const Exposures &exposures, const job_spec &spec) const {
    const auto list = handles(exposures);
    pellucid_job_desc desc = describe(list, spec);
    std::shared_ptr<detail::state_function> on_state;
    if (spec.on_state) {
      on_state = std::make_shared<detail::state_function>(spec.on_state);
      desc.user = on_state.get();
      desc.on_state = detail::state_function::call;
    }
    pellucid_job *raw = nullptr;
    checked([&](auto e) { return api().job_submit(raw_, &desc, &raw, e); });
    return job(api(), raw, std::move(on_state));
  }
  /* A x of a model image [ny, nx] for each exposure, [y, x], by the extension
   * PELLUCID_EXT_PREDICT; PELLUCID_E_UNSUPPORTED without it. */
  template <class Exposures>
  std::vector<view> predict(const Exposures &exposures, double ra_deg, double dec_deg,
                            double pixel_scale_arcsec, const array_ref &model) const {
    const auto *table = plugin_.extension<pellucid_predict_ext>(PELLUCID_EXT_PREDICT);
    if (!table) throw error(PELLUCID_E_UNSUPPORTED, "the plugin lacks " PELLUCID_EXT_PREDICT);
    const auto list = handles(exposures);
    std::vector<pellucid_array> out(list.size(), detail::sized<pellucid_array>());
    std::vector<view> views(list.size());
    checked([&](auto e) {
      return table->predict(raw_, list.data(), list.size(), ra_deg, dec_deg, pixel_scale_arcsec,
                            model.get(), out.data(), e);
    });
    for (std::size_t k = 0; k < out.size(); ++k) views[k] = view(out[k]);
    return views;
  }

 private:
  const pellucid_api &api() const noexcept { return plugin_.api(); }
  static constexpr std::uint32_t psf_flags(bool pixel_integrated) noexcept {
    return pixel_integrated ? std::uint32_t{PELLUCID_PSF_PIXEL_INTEGRATED} : 0u;
  }

  template <class Slot>
  void checked(Slot &&slot) const {
    detail::checked(api(), std::forward<Slot>(slot));
  }
  template <class Object, class Raw, class Slot>
  Object made(Slot &&slot) const {
    Raw *raw = nullptr;
    checked([&](auto e) { return slot(&raw, e); });
    return Object(api(), raw);
  }
  /* The same where success makes a context the plugin's. */
  template <class Object, class Raw, class Owned, class Slot>
  Object adopted(Owned &owned, Slot &&slot) const {
    auto object = made<Object, Raw>(std::forward<Slot>(slot));
    static_cast<void>(owned.release());
    return object;
  }

  template <class Exposures>
  static std::vector<pellucid_exposure *> handles(const Exposures &exposures) {
    std::vector<pellucid_exposure *> list;
    for (const pellucid::exposure &exposure : exposures) list.push_back(exposure.get());
    return list;
  }
  static pellucid_job_desc describe(const std::vector<pellucid_exposure *> &exposures,
                                    const job_spec &spec) noexcept {
    auto desc = detail::sized<pellucid_job_desc>();
    desc.exposures = exposures.data();
    desc.n_exposures = exposures.size();
    desc.ra = spec.ra_deg;
    desc.dec = spec.dec_deg;
    desc.pixscale = spec.pixel_scale_arcsec;
    desc.out_ny = spec.ny;
    desc.out_nx = spec.nx;
    desc.n_samples = spec.n_samples;
    desc.priority = spec.priority;
    desc.seed = spec.seed;
    desc.prior = spec.prior.c_str();
    desc.likelihood = detail::or_null(spec.likelihood);
    desc.options_json = detail::or_null(spec.options_json);
    return desc;
  }
  void reset() noexcept {
    if (!raw_) return;
    api().engine_release(raw_);
    /* Inside a callback the release was ignored: then the engine still uses the log function. */
    auto memory = detail::sized<pellucid_mem>();
    if (api().engine_memory(raw_, &memory, nullptr) != PELLUCID_E_ARG) {
      static_cast<void>(log_.release());
    }
    raw_ = nullptr;
  }

  plugin plugin_;
  std::unique_ptr<log_function> log_;
  pellucid_engine *raw_ = nullptr;
};

}  // namespace pellucid

#endif /* PELLUCID_PELLUCID_HPP */
