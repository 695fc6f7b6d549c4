/* The header on its own, twice: it needs nothing before it and survives being included again. */
#include <pellucid/pellucid.h>
#include <pellucid/pellucid.h>

int main(void) {
  pellucid_get_api_fn get_api = 0;
  pellucid_status status = PELLUCID_OK;
  return status == PELLUCID_OK && get_api == 0 && PELLUCID_ABI == 1u ? 0 : 1;
}
