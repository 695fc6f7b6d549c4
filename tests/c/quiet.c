/* Before engine_create nothing starts: no thread, no device driver. quiet LIBRARY */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <pellucid/pellucid.h>

static int threads(void) {
  DIR *folder = opendir("/proc/self/task");
  struct dirent *entry;
  int n = 0;
  if (folder == NULL) return -1;
  while ((entry = readdir(folder)) != NULL) n += entry->d_name[0] != '.';
  closedir(folder);
  return n;
}

static int mapped(const char *name) {
  char line[4096];
  int found = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) return -1;
  while (fgets(line, sizeof line, maps) != NULL) found |= strstr(line, name) != NULL;
  fclose(maps);
  return found;
}

int main(int argc, char **argv) {
  pellucid_get_api_fn get_api;
  const pellucid_api *api;
  pellucid_device devices[16];
  pellucid_engine *engine = NULL;
  size_t n = 16, k;
  void *library, *symbol;
  if (argc != 2 || (library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL)) == NULL) return 2;
  symbol = dlsym(library, PELLUCID_GET_API);
  memcpy(&get_api, &symbol, sizeof get_api);
  if (symbol == NULL || (api = get_api(PELLUCID_ABI, NULL)) == NULL) return 2;
  memset(devices, 0, sizeof devices);
  for (k = 0; k < n; ++k) devices[k].struct_size = sizeof devices[k];
  if (api->devices(devices, &n, NULL) != PELLUCID_OK || n < 1) return 3;
  if (api->get_extension(PELLUCID_EXT_PREDICT) == NULL) return 4;
  for (k = 0; k < n && k < 16; ++k)
    printf("device %d: %s\n", (int)devices[k].index, devices[k].name);
  printf("%s: %d thread(s) after listing %d device(s)\n", api->version_string(), threads(), (int)n);
  if (threads() != 1) return 5;
  /* The NVIDIA driver's own library: mapped as soon as anything touches CUDA. */
  if (mapped("/libcuda.so") != 0) return 6;
  if (api->engine_create("{\"device\": \"cpu\", \"threads\": 1}", NULL, &engine, NULL) !=
      PELLUCID_OK)
    return 7;
  /* The worker: so the count above could have been another. */
  if (threads() < 2) return 8;
  api->engine_release(engine);
  printf("ok\n");
  return 0;
}
