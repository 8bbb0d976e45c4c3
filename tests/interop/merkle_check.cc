// merkle_check: Google's Merkle tree and its verifier, of the Certificate Transparency log server
// (Debian's golang-github-google-certificate-transparency-dev), behind lines, in and out:
//
//	inclusion INDEX SIZE ENTRY ROOT PROOF
//	consistency SIZE1 SIZE2 ROOT1 ROOT2 PROOF
//	load FILE                         a tree of entries, "u16be length || entry" one after the other
//	root SIZE                         ok ROOT
//	prove-inclusion INDEX SIZE        ok PROOF
//	prove-consistency SIZE1 SIZE2     ok PROOF
//
// Hex, a proof is hashes joined by commas or "-". Indexes are from 0 here, from 1 there.
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "merkletree/merkle_tree.h"
#include "merkletree/merkle_verifier.h"
#include "merkletree/serial_hasher.h"

using std::string;
using Path = std::vector<string>;

namespace {

string unhex(const string& text) {
  string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    out.push_back(static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return out;
}

string hex(const string& data) {
  static const char digits[] = "0123456789abcdef";
  string out;
  for (unsigned char c : data) {
    out.push_back(digits[c >> 4]);
    out.push_back(digits[c & 15]);
  }
  return out;
}

Path path_of(const string& text) {
  Path path;
  std::istringstream in(text == "-" ? "" : text);
  for (string one; std::getline(in, one, ',');)
    path.push_back(unhex(one));
  return path;
}

string text_of(const Path& path) {
  string out;
  for (const string& one : path)
    out += (out.empty() ? "" : ",") + hex(one);
  return out.empty() ? "-" : out;
}

std::unique_ptr<MerkleTree> load(const string& name) {
  auto tree = std::make_unique<MerkleTree>(std::make_unique<Sha256Hasher>());
  std::ifstream file(name, std::ios::binary);
  unsigned char size[2];
  while (file.read(reinterpret_cast<char*>(size), 2)) {
    string entry(size[0] * 256u + size[1], '\0');
    if (!file.read(&entry[0], static_cast<std::streamsize>(entry.size())))
      break;
    tree->AddLeaf(entry);
  }
  return tree;
}

}  // namespace

int main() {
  MerkleVerifier verifier(std::make_unique<Sha256Hasher>());
  std::unique_ptr<MerkleTree> tree;
  for (string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    string what, first, second, path, file;
    size_t a = 0, b = 0;
    bool right = false;
    words >> what;
    if (what == "load" && words >> file) {
      tree = load(file);
      right = tree->LeafCount() > 0;
    } else if (what == "root" && words >> a) {
      std::cout << "ok " << hex(tree->RootAtSnapshot(a)) << std::endl;
      continue;
    } else if (what == "prove-inclusion" && words >> a >> b) {
      std::cout << "ok " << text_of(tree->PathToRootAtSnapshot(a + 1, b)) << std::endl;
      continue;
    } else if (what == "prove-consistency" && words >> a >> b) {
      std::cout << "ok " << text_of(tree->SnapshotConsistency(a, b)) << std::endl;
      continue;
    } else if (words >> a >> b >> first >> second >> path) {
      const string one = unhex(first), two = unhex(second);
      right = what == "inclusion" ? verifier.VerifyPath(a + 1, b, path_of(path), two, one)
                                  : verifier.VerifyConsistency(a, b, one, two, path_of(path));
    } else {
      std::cerr << "merkle_check: what is: " << line << std::endl;
      return 2;
    }
    std::cout << (right ? "ok" : "no") << std::endl;
  }
  return 0;
}
