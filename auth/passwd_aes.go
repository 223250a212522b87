package auth

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"strings"
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

// PgpoolPassword is the clear text of a password as pgpool.conf has them: TEXT…,
// AES… (key is the first line of the .pgpoolkey) or the text itself. An md5 hash is an error.
func PgpoolPassword(stored string, key []byte) (string, error) {
	if text, ok := strings.CutPrefix(stored, "TEXT"); ok {
		return text, nil
	}
	if text, ok := strings.CutPrefix(stored, "AES"); ok {
		if len(key) == 0 {
			return "", errors.New("the AES password needs the key of .pgpoolkey")
		}
		return decryptAES(text, key[:min(len(key), maxKeySize)])
	}
	if isMD5Secret(stored) {
		return "", errors.New("an md5 hash is no password to log in with")
	}
	return stored, nil
}
