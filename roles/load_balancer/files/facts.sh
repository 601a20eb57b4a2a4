# Facts of certificates: common.sh has `say`.
socket=/run/mirrorfleet-front/admin.sock

# The certificates in a file, without the key that it can have as well. Keys are deleted first: a
# certificate without an end would last until the end of the file.
certificates() {
    for path; do
        [ ! -f "$path" ] || say certificates "$path" "$(
            sed -n -e '/-----BEGIN .*PRIVATE KEY/,/-----END .*PRIVATE KEY/d' \
                -e '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' <"$path" | head -c 100000 | base64 | tr -d '\n'
        )"
    done
}

# The serial number of the certificate that HAProxy has loaded from a file, in hexadecimal digits.
loaded_certificate() {
    [ -S "$socket" ] || return 0
    for path; do
        say loaded_certificate "$path" \
            "$(echo "show ssl cert $path" | socat -t 5 - "UNIX-CONNECT:$socket" 2>/dev/null | sed -n 's/^Serial: //p' | head -n 1)"
    done
}
