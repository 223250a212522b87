package auth

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"errors"
)

var errAES = errors.New("the AES secret cannot be decrypted with the key of auth.key_file: encrypt it anew with pg_enc")

// decryptAES opens what Pgpool-II's pg_enc wrote: base64 of AES-256-CBC with
// PKCS #7 padding, key and IV stretched from the key file's line.
func decryptAES(encoded string, passphrase []byte) (string, error) {
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return "", errAES
	}
	key, iv := bytesToKey(passphrase)
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad < 1 || pad > aes.BlockSize ||
		!bytes.HasSuffix(data, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return "", errAES
	}
	return string(data[:len(data)-pad]), nil
}

// bytesToKey is OpenSSL's EVP_BytesToKey with SHA-1, no salt and one round,
// which is what Pgpool-II calls. It is weak, and only as secret as its file.
func bytesToKey(passphrase []byte) (key, iv []byte) {
	const keyLen, ivLen = 32, aes.BlockSize
	var out, last []byte
	for len(out) < keyLen+ivLen {
		sum := sha1.Sum(append(last, passphrase...))
		last = sum[:]
		out = append(out, last...)
	}
	return out[:keyLen], out[keyLen : keyLen+ivLen]
}
