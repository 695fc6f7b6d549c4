
exec "${command[@]}"
